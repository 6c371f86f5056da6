"""The part of a file that stands in a prompt, cut such that typing does not move it.

The keys and values of a prompt are kept from keystroke to keystroke as far as its tokens stay the
same from the first one on. So the window's start moves in steps: it is the first line behind a
multiple of so many characters of the file, and stays there until the window is full.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Encode = Callable[[str], Sequence[int]]

_CHARACTERS_PER_TOKEN = 8  # generous: what is too much is cut after it is tokenised
_USUAL = 3.0  # characters of a token of code, where the search for the window's start begins


def before(text: str, most: int, step: int, encode: Encode, known: Encode) -> Sequence[int]:
    """The ids of the end of text, at most `most`, from the beginning of a line on.

    step: tokens, about, by which the start moves; so much less than `most` may be shown. A line
    that is longer than `most` is cut within, in steps of tokens. known: encode with a memory: the
    lines above the cursor's are asked for again at every keystroke.
    """
    if most <= 0:
        return []
    unit = max(int(step * _USUAL), 1)
    last = text.rfind("\n") + 1
    own = len(encode(text[max(last, len(text) - most * _CHARACTERS_PER_TOKEN) :]))

    def fits(number: int) -> bool:
        start = _start(text, number, unit)
        if start is None or start > last or len(text) - start > most * _CHARACTERS_PER_TOKEN:
            return False
        return len(known(text[start:last])) + own <= most

    number = max(0, -int((most * _USUAL - len(text)) // unit))
    while not fits(number) and number * unit <= last:
        number += 1
    while number > 0 and fits(number - 1):
        number -= 1
    while fits(number):
        ids = encode(text[_start(text, number, unit) :])
        if len(ids) <= most and (ids or not last):
            return ids
        number += 1  # the two parts made a token less than the whole does
    return _within_line(text, most, unit, step, encode)


def after(text: str, most: int, encode: Encode) -> Sequence[int]:
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


def _start(text: str, number: int, unit: int) -> int | None:
    """Where that number's window starts: the first line at or behind so many units."""
    if number == 0:
        return 0
    newline = text.find("\n", number * unit - 1)
    return newline + 1 if newline >= 0 else None


def _within_line(text: str, most: int, unit: int, step: int, encode: Encode) -> Sequence[int]:
    """The end of the last line that holds anything."""
    line = text.rstrip("\n").rfind("\n") + 1
    far = (len(text) - most * _CHARACTERS_PER_TOKEN) // unit * unit
    ids = encode(text[max(line, far) :])
    over = len(ids) - most
    return ids[-(-over // step) * step :] if over > 0 else ids
