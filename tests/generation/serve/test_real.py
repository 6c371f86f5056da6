"""A real model in the model process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from p2assist.experience import Task
from p2assist.generation.serve.client import ModelProcess, ServedGenerator
from p2assist.generation.serve.place import Place

# peft 0.21 reads a name that transformers 5.23 is about to drop.
PEFT = "ignore:`is_gradient_checkpointing`:FutureWarning"
pytestmark = [pytest.mark.model, pytest.mark.filterwarnings(PEFT)]
pytest.importorskip("torch")

FILE = "def add(a, b):\n    total = |a + b|\n    return total\n"


def test_a_new_champion_serves_the_next_request_over_the_same_base_weights(
    tiny: Path,
    tmp_path: Path,
    make_adapter: Callable[..., Path],
    task: Callable[..., Task],
    place: Place,
) -> None:
    from p2assist.generation.local import LocalGenerator

    one, two = (make_adapter(tiny, tmp_path / name) for name in ("one", "two"))
    chosen: list[tuple[Path | None, str]] = [(None, "")]
    served = ServedGenerator(str(tiny), ModelProcess(place), chosen=lambda: chosen[-1])
    made = task(FILE)
    seen: list[str] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            found = served.generate(made, beams=2)
            seen.append(found[0].adapter)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(keep_asking)
        for folder, name in ((one, "one"), (two, "two")):
            chosen.append((folder, name))
            assert served.generate(made, beams=2)[0].adapter == name
        stop.set()
        asking.result(60)
    assert seen
    direct = LocalGenerator.load(str(tiny), adapter=two, adapter_name="two")
    texts = ["a + b", "a"]
    expected = [c.logprob for c in direct.score(made, texts)]
    assert [c.logprob for c in served.score(made, texts)] == pytest.approx(expected, abs=1e-3)
    report = served.process.status()
    assert report is not None
    assert [model.adapters for model in report.models] == [("one", "two")]
    log = place.log.read_text()
    assert log.count("loaded") == 3  # the base model, and each adapter beside it
