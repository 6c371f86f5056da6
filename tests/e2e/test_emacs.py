"""Emacs with eglot: a client without inline completion, by examples/editors/emacs.el."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("emacs") is None, reason="make e2e-setup fetches Emacs"),
]


SPOKEN = re.compile("covering tests pass|fails test_")


def offered(tmp_path: Path, typed: str, *, trusted: bool) -> dict[str, str]:
    """What eglot offers behind the typed text: each completion with its documentation."""
    project = tmp_path / "project"
    leave = shutil.ignore_patterns("__pycache__", ".p2assist", ".pytest_cache")
    shutil.copytree(ROOT / "examples/quickstart", project, ignore=leave)
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    example = (ROOT / "examples/editors/emacs.el").read_text()
    assert '"~/src/shop"' in example
    (tmp_path / "init.el").write_text(
        example.replace('"~/src/shop"', f'"{project if trusted else tmp_path / "other"}"')
    )
    source = project / "basket/pricing.py"
    done = subprocess.run(
        ["emacs", "--batch", "--load", ROOT / "tests/e2e/eglot.el"],
        env={
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "EXAMPLE": str(tmp_path / "init.el"),
            "FILE": str(source),
            "LINE": "17",
            "TYPED": typed,
            **({"EVIDENCE": SPOKEN.pattern.replace("|", "\\|")} if trusted else {}),
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pairs = [line.split("\t") for line in done.stdout.splitlines() if line.startswith('"')]
    return {json.loads(text): json.loads(documentation) for text, documentation in pairs}


def test_candidates_come_as_plain_completions(tmp_path):
    found = offered(tmp_path, "percent = ", trusted=False)
    assert len(found) > 1
    assert all("covering tests pass" not in documentation for documentation in found.values())


def test_in_a_trusted_folder_their_documentation_holds_the_evidence(tmp_path):
    found = offered(tmp_path, "percent = ", trusted=True)
    assert any(SPOKEN.search(documentation) for documentation in found.values())
