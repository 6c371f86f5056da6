"""Fill-in-the-middle templates: how each family of models is asked for the text at a cursor.

Sources: the families' model cards and, for Code Llama, its paper (arXiv 2308.12950, section 2.3)
and transformers' CodeLlamaTokenizer. A model is recognised by the special tokens of its
vocabulary first, and by its name only where those leave a choice.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from p2assist.errors import ModelError


class Ids(Protocol):
    """The part of a vocabulary that a template needs."""

    def id_of(self, token: str) -> int: ...

    def __contains__(self, token: object) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FimTemplate:
    """The special tokens of one family and the order they stand in.

    prefix, suffix, middle: the tokens before each part, '' for none. suffix_first: the order
    suffix-prefix-middle, in which the middle goes on directly from the prefix; otherwise
    prefix-suffix-middle. begin: the token that every sequence of the family starts with. ends:
    the tokens that end a middle; the first is what training puts there. marks, lacks: tokens that
    tell the family from others with the same three. suffix_share: most of the prompt that the
    suffix may take, 0..1. context: tokens the family was trained on, 0 to ask the model's config.
    """

    family: str
    prefix: str = ""
    suffix: str = ""
    middle: str = ""
    suffix_first: bool = False
    begin: str = ""
    ends: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    suffix_share: float = 0.25
    context: int = 0

    @property
    def infills(self) -> bool:
        """Whether the model is shown what follows the cursor."""
        return bool(self.suffix)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens that a prompt of this template is built from."""
        return tuple(t for t in (self.begin, self.prefix, self.suffix, self.middle) if t)

    def layout(
        self, prefix: Sequence[int], suffix: Sequence[int], vocabulary: Ids
    ) -> tuple[int, ...]:
        """The prompt's token ids from those of its two parts, in the family's order."""

        def special(token: str) -> list[int]:
            return [vocabulary.id_of(token)] if token and token in vocabulary else []

        before = [*special(self.prefix), *prefix]
        after = [*special(self.suffix), *suffix] if self.infills else []
        parts = after + before if self.suffix_first else before + after
        return (*special(self.begin), *parts, *special(self.middle))


PLAIN = FimTemplate(family="plain", ends=("<|endoftext|>", "</s>", "<eos>"))
"""Left to right: the prefix alone. For models without fill-in-the-middle tokens."""

TEMPLATES = (
    FimTemplate(
        family="qwen2.5-coder",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        middle="<|fim_middle|>",
        ends=("<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "<|im_end|>"),
        marks=("<|fim_pad|>",),
    ),
    FimTemplate(
        family="codegemma",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        middle="<|fim_middle|>",
        begin="<bos>",
        ends=("<|file_separator|>", "<eos>"),
        marks=("<|file_separator|>",),
    ),
    FimTemplate(
        family="pocket",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        suffix_first=True,
        ends=("<|endoftext|>", "<|file_sep|>"),
        marks=("<|file_sep|>",),
        lacks=("<|fim_pad|>", "<|file_separator|>"),
        suffix_share=0.2,  # trained on 100 of 512 tokens at most
        context=512,
    ),
    FimTemplate(
        family="starcoder2",
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        ends=("<|endoftext|>", "<file_sep>", "<fim_pad>"),
    ),
    FimTemplate(
        family="codellama",
        prefix="▁<PRE>",
        suffix="▁<SUF>",
        middle="▁<MID>",
        begin="<s>",
        ends=("▁<EOT>", "</s>"),
    ),
    FimTemplate(
        family="deepseek-coder",
        prefix="<｜fim▁begin｜>",  # noqa: RUF001 - the family's tokens hold U+FF5C and U+2581
        suffix="<｜fim▁hole｜>",  # noqa: RUF001
        middle="<｜fim▁end｜>",  # noqa: RUF001
        begin="<｜begin▁of▁sentence｜>",  # noqa: RUF001
        ends=("<｜end▁of▁sentence｜>", "<|EOT|>"),  # noqa: RUF001
    ),
)


def template_for(vocabulary: Container[str], name: str = "", *, asked: str = "") -> FimTemplate:
    """The template of the model with these tokens; PLAIN where it has none to infill with.

    name: the model's name or path; its last part decides where only the three tokens are known.
    asked: the family that the model's own config names, '' where it says nothing; 'plain' for a
    model that has the tokens and completes better without. Raises ModelError on another name.
    """
    found = _recognised(vocabulary, name)
    if asked == PLAIN.family and found is not PLAIN:
        return replace(PLAIN, begin=found.begin, ends=found.ends, context=found.context)
    return _family(asked) if asked else found


def _recognised(vocabulary: Container[str], name: str) -> FimTemplate:
    there = [
        template
        for template in TEMPLATES
        if all(token in vocabulary for token in (template.prefix, template.suffix))
        and (not template.middle or template.middle in vocabulary)
    ]
    for template in there:
        if _marked(template, vocabulary):
            return template
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2].casefold()
    for template in there:
        if template.family.partition("-")[0].rstrip("0123456789.") in last:
            return template
    return there[0] if there else PLAIN


def _family(name: str) -> FimTemplate:
    families = {template.family: template for template in (*TEMPLATES, PLAIN)}
    if name not in families:
        known = ", ".join(families)
        raise ModelError(f"the model's config asks for the template {name!r}; there are {known}")
    return families[name]


def _marked(template: FimTemplate, vocabulary: Container[str]) -> bool:
    if not template.marks:  # its three tokens are its own
        return True
    has = all(token in vocabulary for token in template.marks)
    return has and not any(token in vocabulary for token in template.lacks)
