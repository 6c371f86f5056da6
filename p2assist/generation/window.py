"""The part of a file that stands in a prompt, cut such that typing does not move it.

The keys and values of a prompt are kept from keystroke to keystroke as far as its tokens stay the
same from the first one on. So the window's start moves in steps: it is the first line behind a
multiple of so many characters of the file, and stays there until the window is full.
"""

from __future__ import annotations

from collections.abc import Callable

Encode = Callable[[str], list[int]]

_CHARACTERS_PER_TOKEN = 8  # generous: what is too much is cut after it is tokenised
_USUAL = 3.0  # characters of a token of code, where the search for the window's start begins


def before(text: str, most: int, step: int, encode: Encode) -> list[int]:
    """The ids of the end of text, at most `most`, from the beginning of a line on.

    step: tokens, about, by which the start moves; so much less than `most` may be shown. A line
    that is longer than `most` is cut within, in steps of tokens.
    """
    if most <= 0:
        return []
    unit = max(int(step * _USUAL), 1)
    last = text.rfind("\n") + 1
    number = max(0, -int((most * _USUAL - len(text)) // unit))
    found = _ids(text, number, unit, encode, most)
    while found is None and number * unit <= last:
        number += 1
        found = _ids(text, number, unit, encode, most)
    while found is not None and number > 0:
        earlier = _ids(text, number - 1, unit, encode, most)
        if earlier is None:
            break
        number, found = number - 1, earlier
    if found is None or (not found and last):
        return _within_line(text, most, unit, step, encode)
    return found


def after(text: str, most: int, encode: Encode) -> list[int]:
    """The ids of the beginning of text, at most `most`, up to the end of a line where one fits."""
    head = text[: most * _CHARACTERS_PER_TOKEN]
    lines = head.splitlines(keepends=True)
    if len(head) < len(text) and len(lines) > 1:
        lines = lines[:-1]
    ids = encode("".join(lines))
    while len(ids) > most and len(lines) > 1:
        lines = lines[: -max(1, len(lines) * (len(ids) - most) // len(ids))]
        ids = encode("".join(lines))
    return ids[:most]


def _ids(text: str, number: int, unit: int, encode: Encode, most: int) -> list[int] | None:
    """The ids from the start of that number on; None where they are too many."""
    start = text.find("\n", number * unit - 1) + 1 if number else 0
    if number and not start:
        return None
    if len(text) - start > most * _CHARACTERS_PER_TOKEN:
        return None
    ids = encode(text[start:])
    return ids if len(ids) <= most else None


def _within_line(text: str, most: int, unit: int, step: int, encode: Encode) -> list[int]:
    """The end of the last line that holds anything."""
    line = text.rstrip("\n").rfind("\n") + 1
    far = (len(text) - most * _CHARACTERS_PER_TOKEN) // unit * unit
    ids = encode(text[max(line, far) :])
    over = len(ids) - most
    return ids[-(-over // step) * step :] if over > 0 else ids
