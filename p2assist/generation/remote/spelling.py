"""Prompts as text, for servers whose tokenizer is not here."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence

from p2assist.experience import Task
from p2assist.generation.fim import FimTemplate
from p2assist.generation.prompt import PromptEncoder
from p2assist.generation.request import Context
from p2assist.generation.section import TEMPLATE

# At least as many as a tokenizer of a code model makes of Python: 3 to 4 characters of a word are
# one token there, and a run of blanks is.
_PIECE = re.compile(r"\w{1,3}|[^\S\n]{1,8}|\n+|[^\w\s]")


class Pieces:
    """An Encoding without a tokenizer: short pieces of text stand for tokens, to keep budgets."""

    def __init__(self, special: Iterable[str]) -> None:
        self._pieces: list[str] = list(dict.fromkeys(token for token in special if token))
        self._ids = {piece: number for number, piece in enumerate(self._pieces)}

    def encode(self, text: str, *, glued: bool = False) -> list[int]:
        return [self._id(piece) for piece in _PIECE.findall(text)]

    def bytes_of(self, ids: Sequence[int]) -> bytes:
        return "".join(self._pieces[number] for number in ids).encode()

    @property
    def newlines(self) -> Container[int]:
        return {number for number, piece in enumerate(self._pieces) if "\n" in piece}

    def holding(self, ids: Sequence[int], size: int) -> int:
        held = 0
        for count, number in enumerate(ids):
            if held >= size:
                return count
            held += len(self._pieces[number].encode())
        return len(ids)

    def id_of(self, token: str) -> int:
        return self._ids[token]

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def _id(self, piece: str) -> int:
        if piece not in self._ids:
            self._ids[piece] = len(self._pieces)
            self._pieces.append(piece)
        return self._ids[piece]


def encoder(template: FimTemplate, size: int) -> PromptEncoder:
    """The encoder of prompts of at most about so many tokens."""
    return PromptEncoder(Pieces((*template.marked, *template.ends)), template, size, ())


def prompt(encoder: PromptEncoder, task: Task, context: Context = ()) -> str:
    """The prompt of the task as text.

    The server puts the token in that every sequence begins with. A file that spells one of the
    family's own tokens would be read as that token: it is told apart by a blank.
    """
    parts = []
    template = encoder.template
    own = [token for token in (*template.marked, *template.ends) if token]
    for section in encoder.sections(task, context):
        text = section.text
        if section.kind != TEMPLATE:
            for token in own:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        parts.append("" if section.kind == TEMPLATE and text == template.begin else text)
    return "".join(parts)
