"""Fill-in-the-middle templates: how each family of models is asked for the text at a cursor.

Sources: the families' model cards and, for Code Llama, its paper (arXiv 2308.12950, section 2.3)
and transformers' CodeLlamaTokenizer; for files of a repository Qwen2.5-Coder's card ("repository
level code completion"), DeepSeek-Coder's, and StarCoder2's paper (arXiv 2402.19173, section 5).
CodeGemma's card names its separator and no more: its files are laid out as Qwen's. A model is
recognised by the special tokens of its vocabulary first, and by its name only where those leave a
choice.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from p2assist.errors import ModelError
from p2assist.generation.section import TEMPLATE, Section

_REPOSITORY = "repository"  # a name for every repository: what it is called helps no model


@dataclass(frozen=True, slots=True, kw_only=True)
class FimTemplate:
    """The special tokens of one family and the order they stand in.

    prefix, suffix, middle: the tokens before each part, '' for none. suffix_first: the order
    suffix-prefix-middle, in which the middle goes on directly from the prefix; otherwise
    prefix-suffix-middle. joined: whether training spelled prefix and middle as one text, so that a
    token may hold the end of one and the beginning of the other. begin: the token that every
    sequence of the family starts with. ends: the tokens that end a middle; the first is what
    training puts there. marks, lacks: tokens that tell the family from others with the same three.
    suffix_share: most of the prompt that the suffix may take, 0..1. context: tokens the family was
    trained on, 0 to ask the model's config.

    Of repository context: context_share: most of the prompt that it may take, 0..1; 0 where it
    hurts. repository: the token before the repository's name. file: the token between files.
    naming: what a path stands behind where there is no such token; where there is neither, context
    is given as comments. files: where the files stand, before the family's tokens or
    within the prefix; 'around' is before, and the completed file's own path within.
    """

    family: str
    prefix: str = ""
    suffix: str = ""
    middle: str = ""
    suffix_first: bool = False
    joined: bool = False
    begin: str = ""
    ends: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    suffix_share: float = 0.25
    context: int = 0
    context_share: float = 0.25
    repository: str = ""
    file: str = ""
    naming: str = ""
    files: Literal["before", "around", "within"] = "within"

    @property
    def infills(self) -> bool:
        """Whether the model is shown what follows the cursor."""
        return bool(self.suffix)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens that a prompt of this template is built from."""
        return tuple(t for t in (self.begin, self.prefix, self.suffix, self.middle) if t)

    @property
    def marked(self) -> tuple[str, ...]:
        """Those, and the tokens that introduce repository context."""
        return (*self.tokens, self.repository, self.file)

    def layout(
        self, prefix: Section, suffix: Section, files: Sequence[Section] = (), *, path: str = ""
    ) -> tuple[Section, ...]:
        """The prompt's sections in the family's order, without the ids of its own tokens.

        files: repository context, each as `shown` makes it. path: of the file that is completed;
        it is told where there is context.
        """
        outer = [*self._files(files)]
        named = files and (self.file or self.naming)
        inner = [Section(TEMPLATE, f"{self.naming}{path}\n")] if named else []
        if self.files == "before":
            outer, inner = outer + inner, []
        elif self.files == "within":
            outer, inner = [], outer + inner
        before = [*_special(self.prefix), *inner, prefix]
        after = [*_special(self.suffix), suffix] if self.infills else []
        parts = after + before if self.suffix_first else before + after
        return (*_special(self.begin), *outer, *parts, *_special(self.middle))

    def shown(self, path: str, text: str) -> str:
        """What stands in the prompt for a piece of the file at path."""
        lines = f"{self.naming}{path}\n{text.rstrip()}\n"
        if self.file or self.naming:
            return lines
        return "".join(f"# {line}".rstrip() + "\n" for line in lines.splitlines())

    def _files(self, files: Sequence[Section]) -> Iterable[Section]:
        """The files, and the separator before the one that is completed."""
        if files and self.repository:
            yield from _special(self.repository)
            yield Section(TEMPLATE, _REPOSITORY if self.files == "around" else f"{_REPOSITORY}\n")
        for section in files:
            yield from _special(self.file)
            yield section
        if files:
            yield from _special(self.file)


def _special(token: str) -> tuple[Section, ...]:
    return (Section(TEMPLATE, token),) if token else ()


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
        repository="<|repo_name|>",
        file="<|file_sep|>",
        files="before",
    ),
    FimTemplate(
        family="codegemma",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        middle="<|fim_middle|>",
        begin="<bos>",
        ends=("<|file_separator|>", "<eos>"),
        marks=("<|file_separator|>",),
        file="<|file_separator|>",
        files="before",
    ),
    FimTemplate(
        family="pocket",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        suffix_first=True,
        joined=True,
        ends=("<|endoftext|>", "<|file_sep|>"),
        marks=("<|file_sep|>",),
        lacks=("<|fim_pad|>", "<|file_separator|>"),
        suffix_share=0.125,  # trained on 256 of 2048 tokens at most
        context=2048,
        context_share=0.3,
        file="<|file_sep|>",
    ),
    FimTemplate(
        family="starcoder2",
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        ends=("<file_sep>", "<|endoftext|>", "<fim_pad>"),
        repository="<repo_name>",
        file="<file_sep>",
        files="around",
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
        naming="#",
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
        kept = ("begin", "ends", "context", "context_share", "file")
        return replace(PLAIN, **{name: getattr(found, name) for name in kept})
    return family(asked) if asked else found


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


def family(name: str) -> FimTemplate:
    """The template of that family. Raises ModelError where there is none of that name."""
    families = {template.family: template for template in (*TEMPLATES, PLAIN)}
    if name not in families:
        known = ", ".join(families)
        raise ModelError(f"the settings ask for the template {name!r}; there are {known}")
    return families[name]


def _marked(template: FimTemplate, vocabulary: Container[str]) -> bool:
    if not template.marks:  # its three tokens are its own
        return True
    has = all(token in vocabulary for token in template.marks)
    return has and not any(token in vocabulary for token in template.lacks)
