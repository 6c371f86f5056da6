"""The prompt of a task within a budget of tokens, and the tokens that spell an answer to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

from p2assist.experience import Candidate, SpanKind, Task
from p2assist.generation import budget, window
from p2assist.generation.fim import FimTemplate
from p2assist.generation.request import Context
from p2assist.generation.section import PREFIX, SUFFIX, TEMPLATE, Section

_MOST_HEALED = 48  # characters: a longer word is left as it is
_WORD = re.compile(r"(?<!\w)\w+\Z")
_WORD_AND_BEFORE = re.compile(r"[^\w\r\n]?(?<!\w)\w+\Z")
# What the byte-level tokenizers of GPT-2's kind never join, with Qwen2's rules: a token lies within
# one such piece.
_PIECE = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|(?:[^\w\r\n]|_)?[^\W\d_]+|\d| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+"
)
_PIECES_WITHIN = 200  # characters before the cursor
_STEPS = 8  # in which a window as long as the prompt would be left behind
_AROUND = 8  # tokens that introduce context: a name for the repository, separators
_REMEMBERED = 256  # texts
_BLANK_LINES = 3  # that a tokenizer may join with the end of a line, itself included


class Encoding(Protocol):
    """The part of a Vocabulary that prompts need."""

    def encode(self, text: str, *, glued: bool = False) -> list[int]: ...

    @property
    def newlines(self) -> Container[int]: ...

    def bytes_of(self, ids: Sequence[int]) -> bytes: ...

    def holding(self, ids: Sequence[int], size: int) -> int: ...

    def id_of(self, token: str) -> int: ...

    def __contains__(self, token: object) -> bool: ...


@dataclass(frozen=True, slots=True)
class PromptEncoder:
    """Tasks and answers as token ids: what generation asks with and what learning trains on.

    size: most tokens of a prompt, the template's own included. ends: ids of the tokens that end an
    answer, the one that training puts there first. heals: see `lead`.
    """

    vocabulary: Encoding
    template: FimTemplate
    size: int
    ends: tuple[int, ...]
    heals: bool = False
    _remembered: Callable[[str, bool], tuple[int, ...]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        # Most of a prompt is the same text at the next keystroke.
        memory = lru_cache(maxsize=_REMEMBERED)(self._encode)
        object.__setattr__(self, "_remembered", memory)

    def within(self, most: int) -> PromptEncoder:
        """The same with prompts of at most so many tokens; 0 for no other bound."""
        return replace(self, size=min(self.size, most)) if most else self

    def prompt(self, task: Task, context: Context = ()) -> tuple[int, ...]:
        """The prompt of the task. Only task.prefix, task.suffix and task.path are looked at.

        Never empty: a model needs something to go on from.
        """
        ids = (token for section in self.sections(task, context) for token in section.ids)
        return tuple(ids) or self.ends[:1]

    def sections(self, task: Task, context: Context = ()) -> tuple[Section, ...]:
        """The parts of the prompt of the task, in order.

        The prefix keeps its end and the suffix its beginning, both cut at the ends of lines
        where a line fits at all. Context gets at most its template's share, the suffix at most
        its own, the prefix the rest. From one keystroke to the next all stays the same up to the
        cursor, but for a step of the window's start now and then.
        """
        room = max(self.size - len(self.template.tokens), 1)
        after: Sequence[int] = ()
        if self.template.infills:
            most = int(room * self.template.suffix_share)
            after = window.after(task.suffix, most, self._glued)
        room -= len(after)
        step = max(self.size // _STEPS, 1)
        files, reserved = self._context(context, task.path, room, step)
        text = task.prefix.removesuffix(self.lead(task))
        before = window.before(text, room - reserved, step, self.vocabulary.encode, self._unglued)
        if files:
            unseen = budget.without(context, self._text(before) + self._text(after))
            files = self._chosen(unseen, _size(files))
        parts = self.template.layout(
            self._section(PREFIX, before, task.path),
            self._section(SUFFIX, after, task.path),
            files,
            path=task.path,
        )
        return tuple(self._known(part) for part in parts)

    def _context(
        self, context: Context, path: str, room: int, step: int
    ) -> tuple[list[Section], int]:
        """What of the context fits, and the tokens to keep for it: whole steps, so that a name
        more or less does not move the prefix."""
        most = min(int(self.size * self.template.context_share), room // 2)
        around = len(self._glued(f"{path}\n")) + len(context) + _AROUND
        files = self._chosen(context, most - around)
        taken = _size(files) + around
        return files, min(-(-taken // step) * step, most) if files else 0

    def _chosen(self, context: Context, most: int) -> list[Section]:
        return budget.chosen(context, most, self.template.shown, self._glued)

    def _known(self, section: Section) -> Section:
        """The section with ids: of the family's own tokens, those that the vocabulary has."""
        if section.kind != TEMPLATE:
            return section
        if section.text not in self.template.marked:
            return replace(section, ids=tuple(self._glued(section.text)))
        if section.text not in self.vocabulary:
            return replace(section, text="")
        return replace(section, ids=(self.vocabulary.id_of(section.text),))

    def _section(self, kind: str, ids: Sequence[int], path: str) -> Section:
        return Section(kind, self._text(ids), tuple(ids), path)

    def _text(self, ids: Sequence[int]) -> str:
        return self.vocabulary.bytes_of(ids).decode("utf-8", "replace")

    def _glued(self, text: str) -> tuple[int, ...]:
        return self._remembered(text, True)

    def _unglued(self, text: str) -> tuple[int, ...]:
        return self._remembered(text, False)

    def _encode(self, text: str, glued: bool) -> tuple[int, ...]:
        return tuple(self.vocabulary.encode(text, glued=glued))

    def lead(self, task: Task) -> str:
        """What the prompt leaves out of the prefix's end, so that an answer has to begin with it.

        A word that has been begun: the tokens of its beginning are seldom those that the whole
        word begins with, and a model that is shown them ends the word there. Plain text has what
        stands before a word in the word's own token (a blank, a dot), so that goes with it; a
        middle was taught to begin anywhere, at a word's beginning too. Where both are spelled as
        one text, all that one token may hold of both is left out. With `heals` off only a
        blank before a word is left out.
        """
        if self.heals and self.template.joined:
            return _piece(task.prefix)
        if self.heals:
            pattern = _WORD if self.template.infills else _WORD_AND_BEFORE
            found = pattern.search(task.prefix, max(len(task.prefix) - _MOST_HEALED, 0))
            if found:
                return found[0]
        apart = self.template.infills and not self.template.joined
        return "" if apart or not task.prefix.endswith(" ") else " "

    def target(self, task: Task, candidate: Candidate) -> tuple[int, ...]:
        """The ids that follow the prompt where the candidate is the answer, its stop included.

        Of its spellings the one that the model wrote, or was scored by, where the candidate tells.
        Another one teaches little else than that spelling: pocket gives a line and its newline
        four nats more than the same line and an end token. What is not known is spelled as the
        family was taught: a line of running text ends with its newline, all else with the first
        end token. Of the task only its prefix and kind are looked at.
        """
        ways: Sequence[tuple[int, ...]] = self.spellings(task, candidate.text)
        if self.template.joined:
            # Where both stops are of one length the candidate does not tell which it was.
            ways = sorted(ways, key=lambda way: way[-1] in self.ends)
        return next((way for way in ways if _wrote(candidate, way)), ways[0])

    def spellings(self, task: Task, text: str) -> tuple[tuple[int, ...], ...]:
        """The ways in which the tokenizer spells text and a stop.

        First that with the first end token, which is what training puts there. A model that does
        not infill was never taught to end a middle: its stop is the newline. A line is stopped by
        a newline too, which a tokenizer may join with what is around it. What lies behind a block's
        end cannot be known from its text. Of the task only its prefix and kind are looked at.
        """
        ways: list[tuple[int, ...]] = []
        text = self.lead(task) + text
        if self.template.infills:
            ids = self.vocabulary.encode(text, glued=True)
            ways += [(*ids, end) for end in self.ends]
        if task.kind is SpanKind.LINE:
            ways += [self._line(text, blank) for blank in range(_BLANK_LINES)]
        return tuple(dict.fromkeys(ways)) or (self._newline(text),)

    def _newline(self, text: str) -> tuple[int, ...]:
        return tuple(self.vocabulary.encode(text + "\n", glued=True))

    def _line(self, text: str, blank: int) -> tuple[int, ...]:
        """The line and blank lines, up to the first token that holds a newline."""
        ids = self.vocabulary.encode(text + "\n" * (1 + blank), glued=True)
        stops = (at for at, token in enumerate(ids) if token in self.vocabulary.newlines)
        return tuple(ids[: next(stops, len(ids)) + 1])


def _piece(prefix: str) -> str:
    """The end of the prefix that the next token may begin with; of blanks the last one."""
    line = prefix[max(prefix.rfind("\n") + 1, len(prefix) - _PIECES_WITHIN) :]
    last = ""
    for found in _PIECE.finditer(line):
        last = found[0]
    if last.isspace():
        return last[-1]
    return last if len(last) <= _MOST_HEALED else ""


def _wrote(candidate: Candidate, ids: Sequence[int]) -> bool:
    """Whether the candidate may have been spelled so; the ids of its stop are not kept."""
    known = candidate.token_ids
    if not known or len(ids) != candidate.num_tokens:
        return False
    return tuple(ids[: len(known)]) == known


def _size(sections: Sequence[Section]) -> int:
    return sum(len(section.ids) for section in sections)
