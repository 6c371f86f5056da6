"""Small experiences, and a real store in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from p2assist.experience import (
    Candidate,
    CoveringTest,
    Experience,
    Outcome,
    Source,
    Task,
    TestOutcome,
    TestReport,
)
from p2assist.replay.store import Store

START = datetime(2026, 1, 1, tzinfo=UTC)


def task(number: int = 0, path: str = "shop/cart.py", **changes: Any) -> Task:
    source = f"def total{number}(items):\n    return sum(items) + {number}\n"
    fields: dict[str, Any] = {
        "source": source,
        "start": source.index("return"),
        "end": len(source) - 1,
        "function": f"total{number}",
        "commit": "c0ffee",
        "tests": (CoveringTest("tests/test_cart.py::test_total", "d1"),),
    }
    return Task(path=path, **{**fields, **changes})


def report(*letters: str, digest: str = "d1") -> TestReport:
    """One outcome for each of 'P', 'F', 'N' (not run)."""
    kinds = {"P": Outcome.PASSED, "F": Outcome.FAILED, "N": Outcome.NOT_RUN}
    return TestReport(
        outcomes=tuple(
            TestOutcome(f"t.py::test_{i}", kinds[letter], digest=digest)
            for i, letter in enumerate(letters)
        )
    )


def experience(
    text: str = "return 0",
    *,
    at: Task | None = None,
    report: TestReport | None = None,
    source: Source = Source.SELF,
    logprob: float = -2.0,
    num_tokens: int = 4,
    adapter: str = "",
    minutes: int = 0,
) -> Experience:
    candidate = Candidate(
        text, logprob, num_tokens, token_ids=(5, 7, 9), mass=logprob, model="m", adapter=adapter
    )
    created = START + timedelta(minutes=minutes)
    return Experience(at or task(), candidate, report, source=source, created=created)


class Make:
    """The functions above, for tests: importlib mode has no modules to import them from."""

    task = staticmethod(task)
    report = staticmethod(report)
    experience = staticmethod(experience)


@pytest.fixture(name="make")
def _make() -> type[Make]:
    return Make


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / '.p2assist' / 'replay.db'}"


@pytest.fixture
def file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture
def opened() -> Iterator[Callable[[str], Store]]:
    """Opens stores that are closed at the end."""
    stores: list[Store] = []

    def open_store(url: str) -> Store:
        stores.append(Store.open(url))
        return stores[-1]

    yield open_store
    for one in stores:
        one.close()


@pytest.fixture
def store(opened: Callable[[str], Store], url: str) -> Store:
    return opened(url)
