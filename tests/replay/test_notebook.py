"""examples/replay_notebook.py runs on a real store, and changes nothing in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2assist.experience import Source
from p2assist.replay.store import Store

NOTEBOOK = Path(__file__).parents[2] / "examples" / "replay_notebook.py"


def _run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(NOTEBOOK), *arguments],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_small_store(url: str, file: Path, tmp_path: Path, make) -> None:
    with Store.open(url) as store:
        store.add(
            [
                make.experience("return 1", report=make.report("P", "F")),
                make.experience("return 2", report=make.report("P", "P"), source=Source.REFERENCE),
                make.experience("return 3", at=make.task(1)),
            ]
        )
        before = list(store.experiences())
    done = _run(str(file), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for text in ("candidates", "shop/cart.py::total0", "0.750", "paper", "t.py::test_1"):
        assert text in done.stdout
    assert "total1" not in done.stdout  # untested: no pass rate to show
    with Store.open(url) as store:
        assert list(store.experiences()) == before


def test_an_empty_store(url: str, tmp_path: Path) -> None:
    Store.open(url).close()
    done = _run(cwd=tmp_path)  # .p2assist/replay.db of the folder it runs in
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("content", [None, b"no database" * 100])
def test_no_store(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.db").write_bytes(content)
    done = _run("x.db", cwd=tmp_path)
    assert done.returncode == 1
    assert "x.db" in done.stderr
    assert "Traceback" not in done.stderr
