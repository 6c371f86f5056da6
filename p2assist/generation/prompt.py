"""The prompt of a task within a budget of tokens, and the tokens that spell an answer to it."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from p2assist.experience import SpanKind, Task
from p2assist.generation.fim import FimTemplate

_CHARACTERS_PER_TOKEN = 8  # generous: what is too much is cut after it is tokenised
_BLANK_LINES = 3  # that a tokenizer may join with the end of a line, itself included


class Encoding(Protocol):
    """The part of a Vocabulary that prompts need."""

    def encode(self, text: str, *, glued: bool = False) -> list[int]: ...

    @property
    def newlines(self) -> Container[int]: ...

    def holding(self, ids: Sequence[int], size: int) -> int: ...

    def id_of(self, token: str) -> int: ...

    def __contains__(self, token: object) -> bool: ...


@dataclass(frozen=True, slots=True)
class PromptEncoder:
    """Tasks and answers as token ids: what generation asks with and what learning trains on.

    size: most tokens of a prompt, the template's own included. ends: ids of the tokens that end an
    answer, the one that training puts there first.
    """

    vocabulary: Encoding
    template: FimTemplate
    size: int
    ends: tuple[int, ...]

    def prompt(self, task: Task) -> tuple[int, ...]:
        """The prompt of the task. Only task.prefix and task.suffix are looked at.

        The prefix keeps its end and the suffix its beginning, both cut at the ends of lines
        where a line fits at all. The suffix gets at most its template's share, the prefix the rest.
        Never empty: a model needs something to go on from.
        """
        room = max(self.size - len(self.template.tokens), 1)
        after: list[int] = []
        before = task.prefix.removesuffix(self.lead(task))
        if self.template.infills:
            after = self._suffix(task.suffix, int(room * self.template.suffix_share))
        ids = self._prefix(before, room - len(after))
        return self.template.layout(ids, after, self.vocabulary) or self.ends[:1]

    def lead(self, task: Task) -> str:
        """What the prompt leaves out of the prefix's end, so that an answer has to begin with it.

        Plain text has the blank before a word in the word's own token: a model that goes on from
        text has hardly seen one that ends with a blank. A middle was taught to begin anywhere.
        """
        return "" if self.template.infills or not task.prefix.endswith(" ") else " "

    def target(self, task: Task, text: str) -> tuple[int, ...]:
        """The ids that follow the prompt where text is the answer, its stop token included.

        The stop is the first end token. A model that does not infill was never taught to end a
        middle: its stop is the newline. Of the task only its prefix and kind are looked at.
        """
        return self.spellings(task, text)[0]

    def spellings(self, task: Task, text: str) -> tuple[tuple[int, ...], ...]:
        """The ways in which the tokenizer spells text and a stop, the one to train on first.

        A line is stopped by a newline too, which a tokenizer may join with what is around it.
        What lies behind a block's end cannot be known from its text.
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

    def _prefix(self, text: str, most: int) -> list[int]:
        tail = text[-most * _CHARACTERS_PER_TOKEN :]
        lines = tail.splitlines(keepends=True)
        if len(tail) < len(text) and len(lines) > 1:
            lines = lines[1:]
        ids = self._ids(lines)
        while len(ids) > most and len(lines) > 1:
            lines = lines[max(1, len(lines) * (len(ids) - most) // len(ids)) :]
            ids = self._ids(lines)
        return ids[-most:]

    def _suffix(self, text: str, most: int) -> list[int]:
        head = text[: most * _CHARACTERS_PER_TOKEN]
        lines = head.splitlines(keepends=True)
        if len(head) < len(text) and len(lines) > 1:
            lines = lines[:-1]
        ids = self._ids(lines, glued=True)
        while len(ids) > most and len(lines) > 1:
            lines = lines[: -max(1, len(lines) * (len(ids) - most) // len(ids))]
            ids = self._ids(lines, glued=True)
        return ids[:most]

    def _ids(self, lines: list[str], *, glued: bool = False) -> list[int]:
        return self.vocabulary.encode("".join(lines), glued=glued)
