"""What a person is shown of a candidate: no text twice, no bracket doubled, no endless loop.

Each rule is one function from a text to what is kept of it, with the case that it came from. A
rule cuts, at an end, or it changes the blanks that lines begin with; nothing is ever added. Of
candidates that are left those with which the code around the cursor parses come first.

Completions that a person sees go through Postprocessed. Practice and evaluation do not: they keep
and compare what the model itself wrote, with the log-probability that belongs to it, so that a
stored candidate is one the model can be trained on, and figures stay comparable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from p2assist.experience import Candidate, Task
from p2assist.generation.brackets import missing, scan
from p2assist.generation.fitting import Surroundings
from p2assist.generation.generator import Generator
from p2assist.generation.indentation import reindent
from p2assist.generation.merge import mass
from p2assist.generation.request import FREE, Context, Control

_WORD = re.compile(r"\w+|[^\w\s]")
_CLOSING = re.compile(r"[)\]}\"'\s]*")
_TELLING = re.compile(r"\w{2,}.*\W.*\w|\w{6,}", re.DOTALL)
_REPEATS = 3  # of lines that are a loop
_PIECES, _SHORTEST_PIECE = 4, 8  # characters: `None, None, None, None` is no loop
_MOST_LINES = 20  # of the suffix that are compared


@dataclass(frozen=True, slots=True)
class Place:
    """The text around a cursor, as the rules look at it.

    line: the cursor's line up to it. rest: that line behind it. following: the lines below that
    hold more than blanks. opened: what is open at the cursor. wanted: what of it nothing closes.
    """

    prefix: str
    line: str
    rest: str
    following: tuple[str, ...]
    opened: tuple[str, ...]
    wanted: tuple[str, ...]

    @classmethod
    def from_task(cls, task: Task) -> Place:
        """Looks at task.prefix and task.suffix only."""
        prefix, suffix = task.prefix, task.suffix
        rest, _, below = suffix.partition("\n")
        lines = [line.rstrip() for line in below[:4000].split("\n") if line.strip()]
        opened = scan(prefix).opened
        return cls(
            prefix=prefix,
            line=prefix[prefix.rfind("\n") + 1 :],
            rest=rest.rstrip(),
            following=tuple(lines[:_MOST_LINES]),
            opened=opened,
            wanted=missing(opened, suffix),
        )


Rule = Callable[[str, Place], str]


def no_loop(text: str, place: Place) -> str:
    """Lines again and again to the end are kept once; a line that stutters is nothing to show.

    Case: a small model in a row of assignments writes `self.a = a` to its last token; within a
    line, `x = foo(bar(foo(bar(foo(bar(...`, which no cut makes right.
    """
    lines = text.split("\n")
    for size in range(1, len(lines) // _REPEATS + 1):
        start = len(lines) - size
        while start and lines[start - 1] == lines[start - 1 + size]:
            start -= 1
        if len(lines) - start >= _REPEATS * size and any(lines[start:]):
            return "\n".join(lines[: start + size])
    return "" if any(_stutters(line) for line in lines) else text


def no_doubled_closing(text: str, place: Place) -> str:
    """Cut before a bracket or quote that closes what the text behind the cursor closes already.

    Case: an editor that closes brackets by itself gives `print(|)`, and the model, which was
    taught whole lines, `x)`: that is `print(x))`. What comes after such a bracket (`x) + 1`) would
    stand outside what the person is writing in.
    """
    foreign = [c for c in scan(text, place.opened).closings if c.opener < 0]
    if not place.opened or len(foreign) <= len(place.wanted):
        return text
    return text[: foreign[len(place.wanted)].at]


def no_rest_of_line(text: str, place: Place) -> str:
    """Cut where the text's end is what stands right of the cursor, in whole words.

    Case: `for key in |.items():` completed by `table.items():`. A bracket that closes one of the
    text's own (`f(x)` before `)`) is no repetition, and which others may stay is the rule above.
    """
    rest = place.rest.strip()
    ends = {found.end() for found in _WORD.finditer(rest)}
    closings = scan(text, place.opened).closings
    for start in (found.start() for found in _WORD.finditer(text)):
        said = text[start:].rstrip()
        repeated = len(said) in ends and rest.startswith(said) and not _CLOSING.fullmatch(said)
        if repeated and not any(c.at >= start > c.opener >= 0 for c in closings):
            return text[:start]
    return text


def no_next_lines(text: str, place: Place) -> str:
    """Cut where the text comes to the lines that follow the cursor.

    Case: a body completed above `return total` ends with `return total`; a block goes on through
    the code below it with small changes. A line as plain as `else:`, or a row within brackets, is
    that place only where nothing but lines of the code below comes after it.
    """
    if place.rest.strip() or not place.following:
        return text
    lines = [line.rstrip() for line in (place.line + text).split("\n")]
    for at, line in enumerate(lines):
        if line != place.following[0]:
            continue
        rest = [each for each in lines[at:] if each]
        same = rest == list(place.following[: len(rest)]) and not place.opened
        if same or _TELLING.search(line):
            return "\n".join(text.split("\n")[:at])
    return text


def parsing_indentation(text: str, place: Place) -> str:
    """Indentation in the file's own blanks, at columns that Python takes.

    Cases: a file of tabs completed with spaces (TabError); the cursor behind its indentation, and
    the model writes that indentation again; one line a blank too far (`unexpected indent`).
    """
    return reindent(text, place.prefix, within=bool(place.opened))


RULES: tuple[Rule, ...] = (
    parsing_indentation,
    no_loop,
    no_doubled_closing,
    no_rest_of_line,
    no_next_lines,
)


def tidy(text: str, place: Place) -> str:
    """The text after all rules. tidy(tidy(text)) is tidy(text).

    Except for the blanks at the beginnings of lines it is never longer than text.
    """
    while True:
        before = text
        for rule in RULES:
            kept = rule(text, place)
            text = kept if kept == text else kept.rstrip()
        if text == before:
            return text


def postprocess(candidates: Iterable[Candidate], task: Task) -> list[Candidate]:
    """What is left of the candidates for a person, best first, ranked anew.

    The likeliest is the best of those that fit (see generation.fitting), then of the others: they
    are not dropped, since where the code was broken before, none fits. Case: a model that does not
    see what stands indented below the cursor's line writes a whole statement where a header stood.
    logprob and num_tokens stay those of the whole beam: how likely the model found all that it
    wrote, what was cut included. token_ids is () where the text was changed. Candidates that are
    equal now are merged as beams are: the likeliest stays, mass is of all. One of which nothing
    is left is dropped.
    """
    place = Place.from_task(task)
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        text = tidy(candidate.text, place)
        if text or not candidate.text:
            kept = candidate if text == candidate.text else _changed(candidate, text)
            groups.setdefault(text, []).append(kept)
    around = Surroundings.of(task)
    merged = sorted(
        (_merged(group) for group in groups.values()),
        key=lambda c: (not around.fit(c.text), -c.logprob),
    )
    return [replace(candidate, rank=rank) for rank, candidate in enumerate(merged)]


@dataclass(frozen=True, slots=True)
class Postprocessed:
    """A Generator whose completions are for people. Its scores are the inner one's."""

    inner: Generator

    @property
    def model(self) -> str:
        return self.inner.model

    @property
    def adapter(self) -> str:
        return self.inner.adapter

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        made = self.inner.generate(task, beams=beams, context=context, control=control)
        return postprocess(made, task)

    def score(self, task: Task, texts: Sequence[str]) -> list[Candidate]:
        return self.inner.score(task, texts)


def _changed(candidate: Candidate, text: str) -> Candidate:
    return replace(candidate, text=text, token_ids=())


def _merged(group: Sequence[Candidate]) -> Candidate:
    """The likeliest of candidates of one text, with the mass of all."""
    best = max(group, key=lambda candidate: candidate.logprob)
    if len(group) == 1:
        return best
    return replace(best, mass=mass(c.logprob if c.mass is None else c.mass for c in group))


def _stutters(line: str) -> bool:
    """Whether the line's end is one piece of some length again and again, the last perhaps cut."""
    for size in range(_SHORTEST_PIECE, len(line) // _PIECES + 1):
        tail = line[-_PIECES * size :]
        if tail[size:] == tail[:-size] and len(set(tail)) > 2 and re.search(r"\w", tail):
            return True
    return False
