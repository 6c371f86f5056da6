"""A model's tokenizer, reduced to what generation needs: ids of texts, bytes of ids.

Text is put together from the tokens' bytes, never with the tokenizer's own decode: that one trims
blanks, replaces half characters, and costs more with every token.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from p2assist.errors import ModelError

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_ANCHOR = "\n"  # never merged with what follows it by a tokenizer that adds a blank


class Backend(Protocol):
    """The part of a `tokenizers.Tokenizer` that is used."""

    @property
    def decoder(self) -> Any: ...

    def encode(self, sequence: str, *, add_special_tokens: bool = True) -> Any: ...

    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]: ...

    def get_added_tokens_decoder(self) -> Mapping[int, Any]: ...


class Vocabulary:
    """Frozen in all but name. size: rows of the model's output, which may be more than there are
    tokens. special: further tokens that no text may hold (the model's fill-in-the-middle tokens).

    Raises ModelError where the tokenizer's tokens cannot be told as bytes.
    """

    def __init__(self, backend: Backend, *, size: int = 0, special: Iterable[str] = ()) -> None:
        self._backend = backend
        self._ids = backend.get_vocab(with_added_tokens=True)
        self.size = max(size, max(self._ids.values(), default=-1) + 1)
        added = backend.get_added_tokens_decoder()
        hidden = {number for number, token in added.items() if token.special}
        hidden |= {self._ids[token] for token in special if token in self._ids}
        self._pieces = self._spell({n: t.content for n, t in added.items()}, hidden)
        self._literal = {t.content for n, t in added.items() if n in hidden} - {""}

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __len__(self) -> int:
        return self.size

    def id_of(self, token: str) -> int:
        """The id of a token that must be there. Raises ModelError otherwise."""
        if token not in self._ids:
            raise ModelError(f"the model's tokenizer has no token {token!r}: it is damaged")
        return self._ids[token]

    def known(self, tokens: Iterable[str]) -> tuple[int, ...]:
        """The ids of those tokens that are there."""
        return tuple(self._ids[token] for token in tokens if token in self._ids)

    def encode(self, text: str, *, glued: bool = False) -> list[int]:
        """The token ids of text, without any token around it.

        What spells a special token in text is encoded as the characters it is. glued: text goes on
        from other text, so that no blank is put before it (SentencePiece does otherwise).
        """
        ids: list[int] = []
        for number, part in enumerate(self._parts(text)):
            ids += self._encode(part, glued=glued or number > 0)
        return ids

    def piece(self, token_id: int) -> bytes:
        """The bytes of a token; b'' for special ones and for ids without a token."""
        return self._pieces[token_id]

    def bytes_of(self, ids: Iterable[int]) -> bytes:
        return b"".join([self._pieces[i] for i in ids])

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids. Raises UnicodeDecodeError where they end within a character."""
        return self.bytes_of(ids).decode("utf-8")

    def holding(self, ids: Sequence[int], size: int) -> int:
        """How many of the ids, from the first on, it takes to spell the first size bytes."""
        held = 0
        for count, token in enumerate(ids):
            if held >= size:
                return count
            held += len(self._pieces[token])
        return len(ids)

    def spelling(self, lead: bytes) -> tuple[int, ...]:
        """Ids of the tokens that can begin a text which begins with lead: those whose bytes begin
        with lead, and those that lead begins with."""
        found = self._between(lead, lead + b"\xff" * self._longest)
        for size in range(1, len(lead)):
            found += self._between(lead[:size], lead[:size] + b"\0")
        return tuple(found)

    def _between(self, first: bytes, after: bytes) -> list[int]:
        """Ids of the tokens whose bytes are in that range of the sorted ones."""
        ordered = self._ordered
        at, end = (bisect_left(ordered, edge, key=lambda pair: pair[0]) for edge in (first, after))
        return [number for _, number in ordered[at:end]]

    @cached_property
    def _ordered(self) -> list[tuple[bytes, int]]:
        return sorted((piece, number) for number, piece in enumerate(self._pieces) if piece)

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._pieces), default=0)

    @cached_property
    def newlines(self) -> frozenset[int]:
        """Ids of the tokens that hold a line's end."""
        return frozenset(i for i, piece in enumerate(self._pieces) if set(piece) & set(b"\r\n"))

    @cached_property
    def silent(self) -> tuple[int, ...]:
        """Ids that spell nothing: special tokens, and ids without a token."""
        return tuple(i for i, piece in enumerate(self._pieces) if not piece)

    def _encode(self, text: str, *, glued: bool) -> list[int]:
        ids = list(self._backend.encode(text, add_special_tokens=False).ids)
        if not glued or not self._pads:
            return ids
        anchor = list(self._backend.encode(_ANCHOR, add_special_tokens=False).ids)
        both = list(self._backend.encode(_ANCHOR + text, add_special_tokens=False).ids)
        return both[len(anchor) :] if both[: len(anchor)] == anchor else ids

    @cached_property
    def _pads(self) -> bool:
        """Whether the tokenizer puts a blank before a text."""
        ids = self._backend.encode("x", add_special_tokens=False).ids
        return self.bytes_of(ids) == b" x"

    @cached_property
    def _cut(self) -> re.Pattern[str] | None:
        """The places after the first character of what spells a special token."""
        literal = sorted(token for token in self._literal if len(token) > 1)
        places = (f"(?<={re.escape(t[0])})(?={re.escape(t[1:])})" for t in literal)
        return re.compile("|".join(places)) if literal else None

    def _parts(self, text: str) -> list[str]:
        return self._cut.split(text) if self._cut else [text]

    def _spell(self, added: Mapping[int, str], hidden: set[int]) -> list[bytes]:
        spell = _speller(self._backend.decoder)
        pieces = [b""] * self.size
        for token, number in self._ids.items():
            if number not in hidden:
                pieces[number] = added[number].encode() if number in added else spell(token)
        return pieces


class _Speller(Protocol):
    def __call__(self, token: str) -> bytes: ...


def _speller(decoder: Any) -> _Speller:
    """How tokens spell bytes, from the decoder's own description of itself."""
    state = json.loads(decoder.__getstate__()) if decoder is not None else {}
    kinds = {part.get("type") for part in (state, *state.get("decoders", ()))}
    if "ByteLevel" in kinds:
        return _byte_level
    if kinds & {"ByteFallback", "Metaspace"}:
        return _sentence_piece
    raise ModelError(
        "the model's tokenizer is neither a byte-level one nor SentencePiece with byte fallback, "
        "so that its tokens cannot be put together exactly: choose another model"
    )


def _sentence_piece(token: str) -> bytes:
    byte = _BYTE.fullmatch(token)
    return bytes([int(byte[1], 16)]) if byte else token.replace("▁", " ").encode()


def _byte_level(token: str) -> bytes:
    try:
        return bytes([_BYTES[character] for character in token])
    except KeyError:
        return token.encode()


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    rest = (byte for byte in range(256) if byte not in alphabet.values())
    return alphabet | {chr(256 + number): byte for number, byte in enumerate(rest)}


_BYTES = _byte_alphabet()
