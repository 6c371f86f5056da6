from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from p2assist.experience import Candidate, SpanKind, Task
from p2assist.generation.fim import PLAIN, TEMPLATES, template_for
from p2assist.generation.prompt import PromptEncoder
from p2assist.generation.request import Snippet, SnippetKind
from p2assist.generation.vocabulary import Vocabulary

MakeTask = Callable[..., Task]
POCKET = next(template for template in TEMPLATES if template.family == "pocket")
APART = replace(POCKET, joined=False)
LONG = "".join(f"line_{number} = {number}\n" for number in range(400))


@pytest.fixture
def encoder(vocabulary: Vocabulary) -> PromptEncoder:
    return PromptEncoder(vocabulary, POCKET, 120, vocabulary.known(POCKET.ends))


def parts(encoder: PromptEncoder, vocabulary: Vocabulary, task: Task) -> tuple[str, str]:
    """The suffix and the prefix that stand in a prompt of pocket's."""
    ids = encoder.prompt(task)
    assert ids[0] == vocabulary.id_of("<|fim_suffix|>")
    middle = ids.index(vocabulary.id_of("<|fim_prefix|>"))
    return vocabulary.text(ids[1:middle]), vocabulary.text(ids[middle + 1 :])


def test_the_fixture_is_recognised_as_pocket(vocabulary: Vocabulary) -> None:
    assert template_for(vocabulary) is POCKET


def test_a_short_file_is_shown_whole(
    encoder: PromptEncoder, vocabulary: Vocabulary, task: MakeTask
) -> None:
    made = task("def f(x):\n    return |x + 1|\n\nf(2)\n")
    assert parts(encoder, vocabulary, made) == ("\n\nf(2)\n", "def f(x):\n    return")


def test_a_narrower_prompt_keeps_what_is_next_to_the_cursor(
    encoder: PromptEncoder, vocabulary: Vocabulary, task: MakeTask
) -> None:
    made = task(f"{LONG}here = |\n{LONG}")
    narrow = encoder.within(40)
    assert len(narrow.prompt(made)) <= 40 < len(encoder.prompt(made))
    assert parts(narrow, vocabulary, made)[1].endswith("here =")
    assert encoder.within(0) is encoder
    assert encoder.within(10_000).size == encoder.size


def test_the_reference_changes_nothing(encoder: PromptEncoder, task: MakeTask) -> None:
    with_it, without = task("a = |secret_answer|\n"), task("a = |\n")
    assert encoder.prompt(with_it) == encoder.prompt(without)


def test_a_long_file_keeps_whole_lines_around_the_cursor(
    encoder: PromptEncoder, vocabulary: Vocabulary, task: MakeTask
) -> None:
    made = task(f"{LONG}here = |\n{LONG}")
    suffix, prefix = parts(encoder, vocabulary, made)
    assert made.prefix.endswith(prefix + " ") and made.suffix.startswith(suffix)
    assert made.prefix[: -len(prefix) - 1].endswith("\n") and suffix.endswith("\n")
    assert len(encoder.prompt(made)) <= encoder.size
    assert len(vocabulary.encode(prefix)) > 3 * len(vocabulary.encode(suffix)) > 0


@pytest.mark.parametrize("size", [16, 40, 400])
def test_no_prompt_is_longer_than_its_budget(
    vocabulary: Vocabulary, task: MakeTask, size: int
) -> None:
    encoder = PromptEncoder(vocabulary, POCKET, size, (0,))
    for text in (f"{LONG}here = |\n{LONG}", "x" * 9000 + "|" + "y" * 9000, "|", "é" * 900 + "|"):
        assert 0 < len(encoder.prompt(task(text))) <= size


CONTEXT = (
    Snippet(SnippetKind.SIGNATURES, "a.py", "import os\ndef far(a):\n    ...\n"),
    Snippet(SnippetKind.DEFINITION, "b.py", "def near(x):\n    return x\n" * 40),
    Snippet(SnippetKind.OPEN, "c.py", LONG),
)


def test_no_prompt_with_context_is_longer_than_its_budget(
    vocabulary: Vocabulary, task: MakeTask
) -> None:
    for template in (*TEMPLATES, PLAIN):
        for size in (16, 40, 200, 500):
            encoder = PromptEncoder(vocabulary, replace(template, context_share=0.4), size, (0,))
            for text in (f"{LONG}here = |\n{LONG}", "|", "x" * 9000 + "|\n"):
                assert 0 < len(encoder.prompt(task(text), CONTEXT)) <= size


def test_context_comes_before_the_prefix_and_names_its_files(
    vocabulary: Vocabulary, task: MakeTask
) -> None:
    template = replace(POCKET, context_share=0.5)
    encoder = PromptEncoder(vocabulary, template, 300, (0,))
    parts = encoder.sections(task(f"{LONG}here = |\nend"), CONTEXT)
    kinds = [part.kind for part in parts if part.kind != "template"]
    assert kinds == ["suffix", "open", "signatures", "definition", "prefix"]
    assert parts[-1].text.endswith("here =")
    shown = "".join(part.text for part in parts)
    assert "<|file_sep|>b.py\ndef near(x):" in shown and "<|file_sep|>a.py\nline_" in shown
    assert sum(len(part.ids) for part in parts) == len(
        encoder.prompt(task(f"{LONG}here = |\nend"), CONTEXT)
    )


def test_a_template_that_context_hurts_is_shown_none(
    vocabulary: Vocabulary, task: MakeTask
) -> None:
    encoder = PromptEncoder(vocabulary, replace(POCKET, context_share=0.0), 300, (0,))
    made = task(f"{LONG}here = |\n")
    assert encoder.prompt(made, CONTEXT) == encoder.prompt(made)


def test_a_signature_that_the_window_shows_is_not_said_twice(
    vocabulary: Vocabulary, task: MakeTask
) -> None:
    encoder = PromptEncoder(vocabulary, replace(POCKET, context_share=0.5), 300, (0,))
    parts = encoder.sections(task("import os\n\ndef near(a):\n    |\n"), CONTEXT[:1])
    assert [part.text for part in parts if part.kind == "signatures"] == [
        "a.py\ndef far(a):\n    ...\n"
    ]


def test_typing_and_another_name_leave_what_is_before_the_cursor_in_place(
    vocabulary: Vocabulary, task: MakeTask
) -> None:
    encoder = PromptEncoder(vocabulary, replace(POCKET, context_share=0.5), 300, (0,))
    changed = 0
    last: tuple[int, ...] = ()
    text = f"{LONG}def f(a):\n    "
    typed = "total = near(far(a), other)\n    return total + 1\n    x = 1\n"
    for character in typed:
        text += character
        ids = encoder.prompt(task(f"{text}|\nrest = 1\n"), CONTEXT[:2])
        same = next((n for n, (a, b) in enumerate(zip(ids, last, strict=False)) if a != b), 0)
        changed += bool(same) and len(last) - same > 8  # tokens around the cursor may be merged
        last = ids
    assert changed <= 2


def test_a_line_longer_than_the_budget_keeps_what_is_next_to_the_cursor(
    encoder: PromptEncoder, vocabulary: Vocabulary, task: MakeTask
) -> None:
    line = "value(" + ", ".join(map(str, range(900)))
    made = task(f"first\n{line}|{line}\nlast")
    suffix, prefix = parts(encoder, vocabulary, made)
    assert line.endswith(prefix) and line.startswith(suffix) and prefix and suffix


def test_a_model_that_does_not_infill_sees_the_prefix_alone(
    vocabulary: Vocabulary, task: MakeTask
) -> None:
    encoder = PromptEncoder(vocabulary, PLAIN, 100, (0,))
    assert vocabulary.text(encoder.prompt(task("f(|\nb"))) == "f("
    assert encoder.prompt(task("|\nb")) == (0,)  # nothing to go on from: its end token


def test_plain_text_leaves_the_last_blank_for_the_answer(
    vocabulary: Vocabulary, task: MakeTask
) -> None:
    encoder = PromptEncoder(vocabulary, PLAIN, 100, (0,))
    made = task("def f():\n    return |x|\n")
    assert encoder.lead(made) == " "
    assert vocabulary.text(encoder.prompt(made)) == "def f():\n    return"
    assert all(vocabulary.text(w).startswith(" x\n") for w in encoder.spellings(made, "x"))
    assert encoder.lead(task("f(|")) == ""


def test_a_model_whose_middle_was_spelled_apart_is_shown_the_last_blank(
    encoder: PromptEncoder, task: MakeTask
) -> None:
    assert replace(encoder, template=APART).lead(task("return |x|\n")) == ""
    assert encoder.lead(task("return |x|\n")) == " "


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("self._na|", "na"),
        ("self.na|", ".na"),
        ("self.|", "."),
        ("f(|", "("),
        ("f((|", "(("),
        ("f(x)|", ")"),
        ("x = na|", " na"),
        ("x = |", " "),
        ("x =|", " ="),
        ("    |", " "),
        ("\t|", "\t"),
        ("x = 12|", "2"),
        ("a['key|", "key"),
        ("x = 'key|", "key"),
        ("f'self|", "elf"),  # GPT-2's rule of contractions
        ("x = 1\n|", ""),
        ("|", ""),
        ("a" * 60 + "|", ""),
    ],
)
def test_where_prefix_and_middle_are_one_text_what_a_token_may_join_is_left_for_the_answer(
    vocabulary: Vocabulary, task: MakeTask, text: str, lead: str
) -> None:
    encoder = PromptEncoder(vocabulary, POCKET, 100, (0,), heals=True)
    made = task(text)
    assert encoder.lead(made) == lead
    ids = encoder.prompt(made)
    shown = vocabulary.bytes_of(ids[ids.index(vocabulary.id_of("<|fim_prefix|>")) + 1 :]).decode()
    assert shown + lead == made.prefix
    for way in encoder.spellings(made, "x"):
        assert vocabulary.bytes_of(way).decode().startswith(lead + "x")


@pytest.mark.parametrize(
    ("text", "plain", "middle"),
    [
        ("self._na|", "._na", "_na"),
        ("x = na|", " na", "na"),
        ("if a:\n    re|", " re", "re"),
        ("\nna|", "na", "na"),
        ("na|", "na", "na"),
        ("f(|", "", ""),
        ("return |", " ", ""),
        ("x = 'é|", "'é", "é"),
        ("a" * 60 + "|", "", ""),
    ],
)
def test_a_word_that_was_begun_is_left_for_the_answer(
    vocabulary: Vocabulary, task: MakeTask, text: str, plain: str, middle: str
) -> None:
    for template, lead in ((PLAIN, plain), (APART, middle)):
        encoder = PromptEncoder(vocabulary, template, 100, (0,), heals=True)
        made = task(text)
        assert encoder.lead(made) == lead
        shown = vocabulary.bytes_of(encoder.prompt(made)).decode()
        assert shown + lead == made.prefix
        assert all(
            vocabulary.bytes_of(way).decode().startswith(lead + "x")
            for way in encoder.spellings(made, "x")
        )


def test_while_a_word_is_typed_the_prompt_stays_the_same(
    vocabulary: Vocabulary, task: MakeTask
) -> None:
    encoder = PromptEncoder(vocabulary, PLAIN, 100, (0,), heals=True)
    word = "normalise"
    prompts = {encoder.prompt(task(f"x = a.{word[:size]}|")) for size in range(1, len(word) + 1)}
    assert len(prompts) == 1


def spelled(text: str, ids: Sequence[int] = (), stops: int = 1) -> Candidate:
    """A candidate that was written as these ids and so many of a stop."""
    return Candidate(text, -1.0, len(ids) + stops, token_ids=tuple(ids))


def test_the_target_is_the_answer_and_the_first_end_token(
    encoder: PromptEncoder, vocabulary: Vocabulary, task: MakeTask
) -> None:
    end = vocabulary.id_of("<|endoftext|>")
    wanted = (*vocabulary.encode("x + 1"), end)
    block, apart = task("|", SpanKind.BLOCK), replace(encoder, template=APART)
    assert encoder.target(block, spelled("x + 1")) == wanted
    assert apart.target(task("|"), spelled("x + 1")) == wanted


def test_a_line_of_running_text_ends_with_its_newline(
    encoder: PromptEncoder, vocabulary: Vocabulary, task: MakeTask
) -> None:
    ids = encoder.target(task("|"), spelled("x + 1"))
    assert vocabulary.text(ids) == "x + 1\n"
    # Where its stop may have been an end token as well as a newline, it was a newline.
    known = vocabulary.encode("x + y")
    assert vocabulary.text(encoder.target(task("|"), spelled("x + y", known))) == "x + y\n"


def test_the_target_is_spelled_as_the_model_spelled_it(
    encoder: PromptEncoder, vocabulary: Vocabulary, task: MakeTask
) -> None:
    made = task("|")
    for way in encoder.spellings(made, "f(x)"):
        if way[-1] in encoder.ends:
            continue
        held = vocabulary.holding(way, len("f(x)"))
        candidate = spelled("f(x)", way[:held], len(way) - held)
        assert encoder.target(made, candidate) == way
    other = spelled("f(x)", [1, 2, 3])  # another model's vocabulary
    assert encoder.target(made, other) in encoder.spellings(made, "f(x)")


def test_a_line_may_end_at_a_newline_that_its_last_token_holds(
    encoder: PromptEncoder, vocabulary: Vocabulary, task: MakeTask
) -> None:
    ways = encoder.spellings(task("|"), "if f(x):")
    ended = [vocabulary.bytes_of(way) for way in ways]
    assert b"if f(x):" in ended and b"if f(x):\n" in ended
    assert all(not set(way[:-1]) & vocabulary.newlines for way in ways)
    assert len(set(ways)) == len(ways)


def test_a_block_is_spelled_with_end_tokens_only(
    encoder: PromptEncoder, vocabulary: Vocabulary, task: MakeTask
) -> None:
    block = task("|", SpanKind.BLOCK)
    ways = encoder.spellings(block, "a\nb")
    assert {way[-1] for way in ways} == set(encoder.ends)
    plain = replace(encoder, template=PLAIN)
    assert [vocabulary.text(way) for way in plain.spellings(block, "a\nb")] == ["a\nb\n"]
