from __future__ import annotations

import pytest

from p2assist.generation.fim import PLAIN, TEMPLATES, FimTemplate, template_for
from p2assist.generation.section import Section

PIPES = ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]


@pytest.mark.parametrize(
    ("tokens", "family"),
    [
        (
            [*PIPES, "<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>"],
            "qwen2.5-coder",
        ),
        ([*PIPES, "<bos>", "<eos>", "<|file_separator|>"], "codegemma"),
        ([*PIPES, "<|endoftext|>", "<|file_sep|>"], "pocket"),
        (["<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<file_sep>"], "starcoder2"),
        (["<s>", "</s>", "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"], "codellama"),
        (["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"], "deepseek-coder"),  # noqa: RUF001
        (["<s>", "</s>", "a"], "plain"),
        (["<|fim_prefix|>", "<|fim_middle|>"], "plain"),
    ],
)
def test_a_family_is_known_by_its_tokens_whatever_its_name(tokens: list[str], family: str) -> None:
    assert template_for(tokens).family == family
    assert template_for(tokens, "org/pocket-qwen-codegemma").family == family


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("google/codegemma-2b", "codegemma"),
        ("/models/Qwen2.5-Coder-0.5B/", "qwen2.5-coder"),
        ("C:\\models\\pocket", "pocket"),
        ("pocket/other", "qwen2.5-coder"),
    ],
)
def test_the_name_decides_where_the_tokens_do_not(name: str, family: str) -> None:
    assert template_for(PIPES, name).family == family


@pytest.mark.parametrize(
    ("family", "wanted"),
    [
        ("qwen2.5-coder", "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"),
        ("codegemma", "<bos><|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"),
        ("pocket", "<|fim_suffix|>S<|fim_prefix|>P"),
        ("starcoder2", "<fim_prefix>P<fim_suffix>S<fim_middle>"),
        ("codellama", "<s>▁<PRE>P▁<SUF>S▁<MID>"),
        (
            "deepseek-coder",
            "<｜begin▁of▁sentence｜><｜fim▁begin｜>P<｜fim▁hole｜>S<｜fim▁end｜>",  # noqa: RUF001
        ),
    ],
)
def test_the_layout_is_the_familys(family: str, wanted: str) -> None:
    template = next(t for t in TEMPLATES if t.family == family)
    assert laid_out(template) == wanted


def laid_out(template: FimTemplate, *files: tuple[str, str]) -> str:
    shown = [Section("open", template.shown(path, text), path=path) for path, text in files]
    parts = template.layout(Section("prefix", "P"), Section("suffix", "S"), shown, path="c.py")
    return "".join(part.text for part in parts)


@pytest.mark.parametrize(
    ("family", "wanted"),
    [
        (
            "qwen2.5-coder",
            "<|repo_name|>repository\n<|file_sep|>a.py\nx\ny\n<|file_sep|>b.py\nz\n<|file_sep|>c.py\n"
            "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
        ),
        (
            "starcoder2",
            "<repo_name>repository<file_sep>a.py\nx\ny\n<file_sep>b.py\nz\n<file_sep>"
            "<fim_prefix>c.py\nP<fim_suffix>S<fim_middle>",
        ),
        (
            "codegemma",
            "<bos><|file_separator|>a.py\nx\ny\n<|file_separator|>b.py\nz\n<|file_separator|>c.py\n"
            "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
        ),
        (
            "pocket",
            "<|fim_suffix|>S<|fim_prefix|><|file_sep|>a.py\nx\ny\n<|file_sep|>b.py\nz\n"
            "<|file_sep|>c.py\nP",
        ),
        (
            "deepseek-coder",
            "<｜begin▁of▁sentence｜><｜fim▁begin｜>#a.py\nx\ny\n#b.py\nz\n#c.py\nP"  # noqa: RUF001
            "<｜fim▁hole｜>S<｜fim▁end｜>",  # noqa: RUF001
        ),
        (
            "codellama",
            "<s>▁<PRE># a.py\n# x\n# y\n# b.py\n# z\nP▁<SUF>S▁<MID>",
        ),
    ],
)
def test_files_of_the_repository_are_laid_out_as_the_family_was_taught(
    family: str, wanted: str
) -> None:
    template = next(t for t in TEMPLATES if t.family == family)
    assert laid_out(template, ("a.py", "x\ny\n\n"), ("b.py", "z")) == wanted


def test_plain_is_the_prefix_alone_behind_comments() -> None:
    assert laid_out(PLAIN) == "P"
    assert laid_out(PLAIN, ("a.py", "x\n\ny")) == "# a.py\n# x\n#\n# y\nP"


def test_a_config_may_ask_for_plain_and_keeps_the_familys_ends_and_context() -> None:
    tokens = [*PIPES, "<|endoftext|>", "<|file_sep|>"]
    asked = template_for(tokens, asked="plain")
    pocket = template_for(tokens)
    assert not asked.infills and pocket.infills
    assert (asked.ends, asked.context) == (pocket.ends, pocket.context)
    assert template_for(tokens, asked="starcoder2").family == "starcoder2"
    assert template_for(["a"], asked="plain") is PLAIN
