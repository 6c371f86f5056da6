"""The typist of benchmarks.editor: what it measures did happen."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from benchmarks.typist import Line, Typist, session

FILE = Path(__file__).parents[2] / "examples/quickstart/basket/items.py"
ROOT = FILE.parents[1]


def test_a_session_is_the_same_every_time_and_types_what_was_there() -> None:
    lines = session(ROOT, 5, files=["basket/items.py"])
    assert lines == session(ROOT, 5, files=["basket/items.py"])
    assert lines != session(ROOT, 5, files=["basket/items.py"], seed=1)
    assert len(lines) == 5
    for line in lines:
        typed = "".join(key.character for key in line.keys)
        assert line.text[: line.offset] + typed + line.text[line.offset :] == FILE.read_text()
        assert typed.strip() == typed != ""


def test_it_sees_ghosts_and_evidence_and_accepts_the_rest_of_the_line(tmp_path: Path) -> None:
    line = next(one for one in session(ROOT, 99, files=["basket/items.py"]) if len(one.keys) > 12)
    script = {"answers": {"*": [_typed(line)[5:]]}, "tests": ["t.py::test"], "testSeconds": 0.05}
    (tmp_path / "script.json").write_text(json.dumps(script))
    command = [sys.executable, "-m", "p2assist_lsp.testing", str(tmp_path / "script.json")]

    async def main() -> Typist:
        typist = Typist(ROOT)
        await typist.begin(command, os.environ | {"P2ASSIST_RUNTIME": str(tmp_path)})
        await typist.until("ready")
        keys = tuple(type(key)(key.character, 0.3, looks=True) for key in line.keys)
        await typist.type(Line(line.path, line.text, line.offset, keys))
        await typist.close()
        return typist

    seen = asyncio.run(main()).seen
    assert seen.accepted == 1
    assert seen.keys == 5  # the rest came by itself
    assert seen.looked == len(seen.ghosts) == len(seen.evidence) == 5


def _typed(line: Line) -> str:
    return "".join(key.character for key in line.keys)
