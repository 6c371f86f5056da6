"""examples/own_model.py runs with a model in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.model
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_model.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_it_completes_the_built_in_text_with_a_model_in_a_folder(tiny: Path) -> None:
    done = run(str(tiny), "--beams", "3")
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.endswith("tiny (pocket), prices.py:4")
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert all(0 < float(row.split()[1]) <= 1 for row in rows)


def test_it_completes_a_place_in_a_file(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def f(x):\n    return x\n")
    done = run(str(tiny), f"{file}:2:12", "--beams", "2")
    assert done.returncode == 0, done.stderr
    assert "mine.py:2" in done.stdout and len(done.stdout.splitlines()) == 3


def test_a_missing_model_is_said_in_words(tmp_path: Path) -> None:
    done = run(str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no model in")
