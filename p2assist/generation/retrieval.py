"""The parts of a repository's files that are most like the code at a cursor.

As in RepoCoder (arXiv 2303.12570): a window of lines is found by its likeness to the lines around
the cursor and shown with the lines after it, since those are what one would write next. Likeness
is the cosine of the sets of words, each weighted by how rare it is (idf).
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from p2assist.generation.resolve import Repository
from p2assist.generation.similarity import words

_MATCHED, _STEP, _SHOWN = 10, 5, 20  # lines of a window, from one to the next, shown
_COMMON, _FEW = 0.1, 8  # share of the windows, and of so many: a word of more tells nothing
_LIKE = 0.12  # least likeness
_NEW_CHARACTERS = 400_000  # of files that one call reads for the first time
_MOST_CHARACTERS = 6_000_000  # that are kept
_LOOK_SECONDS = 5.0  # for which the disk is not looked at anew


@dataclass(frozen=True, slots=True)
class Match:
    """Lines of a file that are like the code at the cursor. first: the number of the first, from
    0. score: 0..1."""

    path: str
    first: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Windows:
    """A text's windows: which of them hold each word, and how many there are. size: characters."""

    lines: tuple[str, ...]
    holding: Mapping[str, Sequence[int]]
    count: int
    size: int

    def shown(self, number: int) -> str:
        """The window and the lines after it."""
        first = number * _STEP
        return "\n".join(self.lines[first : first + _SHOWN])

    def words(self, number: int) -> Iterator[str]:
        first = number * _STEP
        yield from words("\n".join(self.lines[first : first + _MATCHED]))


class Retrieval:
    """Windows of the Python files below a repository's root, those nearest to the cursor's file
    first; what is too much for one call is read at the next ones. What changes on the disk is
    seen some seconds later, what changes in an editor at once."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._known: dict[str, tuple[object, Windows]] = {}  # with what tells a text from others
        self._due: deque[str] = deque()  # files to look at
        self._looked = -math.inf
        self._laid: set[str] = set()  # of the last overlay
        self._spread: Counter[str] = Counter()  # in how many windows a word is
        self._weight: dict[str, float] = {}
        self._lengths: dict[tuple[str, int], float] = {}  # of windows, as the weights are
        self._windows = 0
        self._characters = 0

    def like(
        self,
        near: str,
        path: str,
        own: Iterable[str] = (),
        *,
        most: int,
        overlay: Mapping[str, str] = {},
    ) -> list[Match]:
        """The `most` windows that are most like `near`, best first, none within another's lines.

        own: texts of the cursor's own file to look into, of path; the file itself is not read.
        overlay: texts of unsaved files by path, which stand for those on the disk.
        """
        self._read(path, overlay)
        wanted = self._weights(near)
        length = math.sqrt(sum(weight * weight for weight in wanted.values())) or 1.0
        found: list[tuple[float, str, int, Windows]] = []
        places = [(path, windows(text)) for text in own]
        places += [(name, kept) for name, (_, kept) in self._known.items() if name != path]
        for name, there in places:
            shared: dict[int, float] = defaultdict(float)
            for word, weight in wanted.items():
                for number in there.holding.get(word, ()):
                    shared[number] += weight * weight
            found += [(value, name, number, there) for number, value in shared.items()]
        found.sort(key=lambda one: one[0], reverse=True)
        matches = [
            Match(
                name,
                number * _STEP,
                there.shown(number),
                self._cosine(value, length, name, there, number),
            )
            for value, name, number, there in found[: 8 * most]
        ]
        matches.sort(key=lambda match: match.score, reverse=True)
        return _apart(match for match in matches if match.score >= _LIKE)[:most]

    def _cosine(
        self, shared: float, length: float, name: str, there: Windows, number: int
    ) -> float:
        known = name in self._known and self._known[name][1] is there
        other = self._lengths.get((name, number)) if known else None
        if other is None:
            other = math.sqrt(sum(self._weight_of(word) ** 2 for word in there.words(number)))
            if known:
                self._lengths[name, number] = other
        return shared / (length * other) if other else 0.0

    def _weights(self, near: str) -> dict[str, float]:
        weights = {word: self._weight_of(word) for word in words(near)}
        return {word: weight for word, weight in weights.items() if weight}

    def _weight_of(self, word: str) -> float:
        weight = self._weight.get(word)
        if weight is None:
            spread = self._spread[word] or 1
            common = spread > max(_FEW, _COMMON * self._windows)
            weight = 0.0 if common else math.log(1 + self._windows / spread)
            self._weight[word] = weight
        return weight

    def _read(self, path: str, overlay: Mapping[str, str]) -> None:
        """Bring what is known up to date, within what one call may read."""
        now = time.monotonic()
        if not self._due and now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._due = deque(self._paths(path))
            for name in self._known.keys() - set(self._due) - overlay.keys():
                self._forget(name)
        left = _NEW_CHARACTERS
        for name in self._laid | overlay.keys():
            left -= self._take(name, overlay)
        self._laid = set(overlay)
        while self._due and left > 0:
            left -= self._take(self._due.popleft(), overlay)

    def _take(self, name: str, overlay: Mapping[str, str]) -> int:
        """Knows the file as it is now; the characters that had to be read for it."""
        state: object = overlay.get(name) or self._repository.stamp(name)
        if name in self._known:
            if self._known[name][0] == state:
                return 0
            self._forget(name)
        text = self._repository.text(name, overlay)
        if text is None or self._characters + len(text) > _MOST_CHARACTERS:
            return 0
        made = windows(text)
        self._known[name] = (state, made)
        self._count(made, 1)
        return len(text)

    def _forget(self, name: str) -> None:
        _, made = self._known.pop(name)
        self._count(made, -1)

    def _count(self, made: Windows, sign: int) -> None:
        self._characters += sign * made.size
        self._windows += sign * made.count
        for word, numbers in made.holding.items():
            self._spread[word] += sign * len(numbers)
        self._weight.clear()
        self._lengths.clear()

    def _paths(self, path: str) -> list[str]:
        """Every Python file below the root, those that share most folders with path first."""
        here = path.split("/")[:-1]

        def distance(name: str) -> tuple[int, str]:
            folders = name.split("/")[:-1]
            same = 0
            for one, other in zip(here, folders, strict=False):
                if one != other:
                    break
                same += 1
            return len(here) + len(folders) - 2 * same, name

        return sorted(self._repository.paths(), key=distance)


@lru_cache(maxsize=16)
def windows(text: str) -> Windows:
    """The windows of a text."""
    lines = tuple(text.split("\n"))
    holding: dict[str, list[int]] = defaultdict(list)
    count = max(1, -(-(len(lines) - _MATCHED + _STEP) // _STEP))
    for number in range(count):
        first = number * _STEP
        for word in words("\n".join(lines[first : first + _MATCHED])):
            holding[word].append(number)
    return Windows(lines, dict(holding), count, len(text))


def _apart(matches: Iterable[Match]) -> list[Match]:
    """Those that show no lines of a better one."""
    kept: list[Match] = []
    for match in matches:
        shown = any(
            one.text == match.text
            or (one.path == match.path and abs(one.first - match.first) < _SHOWN)
            for one in kept
        )
        if not shown:
            kept.append(match)
    return kept
