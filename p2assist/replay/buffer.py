"""What a refresh may draw from: the store without what is stale, held out or too much of one kind.

Caps keep the buffer from leaning: a file that is practised every night must not be most of what
is learned. Of what is over a cap the newest stays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from p2assist.errors import ConfigError
from p2assist.experience import Experience, Source
from p2assist.p2value import P2Settings
from p2assist.replay.columns import Columns
from p2assist.replay.samplers import P2Sampler, Sampler
from p2assist.replay.store import Store
from p2assist.replay.tables import SOURCES

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Most experiences of one function, path, source and known person; 0: no cap."""

    function: int = 500
    path: int = 5_000
    source: int = 0
    person: int = 0

    def __post_init__(self) -> None:
        for name in ("function", "path", "source", "person"):
            if getattr(self, name) < 0:
                raise ConfigError(f"replay cap {name} = {getattr(self, name)!r} is below 0")


@dataclass(frozen=True, slots=True)
class Excluded:
    """How many experiences are left out, by the first reason that holds."""

    source: int = 0  # of a source that was not asked for
    untested: int = 0
    held_out: int = 0
    stale: int = 0  # a test has changed, or gone, since the report
    capped: int = 0


class Buffer:
    """A snapshot of the store at construction.

    columns: what can be drawn. excluded: what cannot, counted.
    """

    def __init__(
        self,
        store: Store,
        settings: P2Settings | None = None,
        *,
        sources: Collection[Source] | None = None,
        keep: Callable[[str], bool] | None = None,
        digests: Mapping[str, str] | None = None,
        caps: Caps | None = None,
        beta: float = 0.0,
        sampler: Sampler | None = None,
    ) -> None:
        """settings: of P2Value. sources: those to learn from; None for all. keep: which function
        keys ('path::name') may be trained on. digests: node id -> digest of each test now; with
        it, a report of other tests, or of none that is known, is stale. beta: exponent of the
        importance weights. sampler: instead of a P2Sampler of settings and beta.
        """
        self._store = store
        self._sampler = sampler or P2Sampler(settings or P2Settings(), beta)
        columns, counts = store.columns(), {}
        masks: dict[str, Callable[[Columns], Mask]] = {
            "source": lambda c: _from(c, sources),
            "untested": lambda c: c.tested,
            "held_out": lambda c: _kept(c, keep),
            "stale": lambda c: _fresh(c, store, digests),
            "capped": lambda c: _under(c, caps or Caps()),
        }
        for reason, mask in masks.items():
            before = len(columns)
            columns = columns.take(mask(columns))
            counts[reason] = before - len(columns)
        self.columns = columns
        self.excluded = Excluded(**counts)

    def __len__(self) -> int:
        return len(self.columns)

    def sample(self, size: int, seed: int) -> list[tuple[Experience, float]]:
        """size experiences by priority, with replacement, with their importance weights in 0..1;
        none where nothing can be drawn. The same seed draws the same from the same store.

        Raises StoreError where one was forgotten since this buffer was made.
        """
        if not len(self.columns) or size <= 0:
            return []
        draw = self._sampler.sample(self.columns, size, np.random.default_rng(seed))
        found = self._store.fetch(draw.ids.tolist())
        return list(zip(found, draw.weights.tolist(), strict=True))


def _from(columns: Columns, sources: Collection[Source] | None) -> Mask:
    if sources is None:
        return np.ones(len(columns), dtype=bool)
    return np.isin(columns.source, [SOURCES[source] for source in sources])


def _kept(columns: Columns, keep: Callable[[str], bool] | None) -> Mask:
    if keep is None:
        return np.ones(len(columns), dtype=bool)
    wanted = [i for i in np.unique(columns.function).tolist() if keep(columns.keys[i])]
    return np.isin(columns.function, wanted)


def _fresh(columns: Columns, store: Store, digests: Mapping[str, str] | None) -> Mask:
    """One look for each list of tests, however many reports are of it."""
    if digests is None:
        return np.ones(len(columns), dtype=bool)
    known = store.tests(np.unique(columns.tests).tolist())
    now = [
        i for i, tests in known.items() if all(digests.get(t.node_id) == t.digest for t in tests)
    ]
    return np.isin(columns.tests, now)


def _under(columns: Columns, caps: Caps) -> Mask:
    """Each cap in turn, on what the ones before have left."""
    everyone = np.ones(len(columns), dtype=bool)
    left = everyone.copy()
    for group, most, where in (
        (columns.function, caps.function, everyone),
        (_paths(columns), caps.path, everyone),
        (columns.person, caps.person, columns.person > 0),
        (columns.source, caps.source, everyone),
    ):
        if most:
            some = np.flatnonzero(left & where)
            left[some] = _age(group[some]) < most
    return left


def _paths(columns: Columns) -> NDArray[np.int64]:
    """(n,) a number for each row's path."""
    number = {path: i for i, path in enumerate(dict.fromkeys(columns.paths.values()))}
    path_of = np.zeros(max(columns.paths, default=0) + 1, dtype=np.int64)
    for function, path in columns.paths.items():
        path_of[function] = number[path]
    return path_of[columns.function]


def _age(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each item among those of its group, the last one 0."""
    order = np.argsort(group, kind="stable")
    _, sizes = np.unique(group, return_counts=True)
    ends = np.repeat(np.cumsum(sizes), sizes)
    age = np.empty_like(group)
    age[order] = ends - 1 - np.arange(group.size)
    return age
