"""Small real projects, and what plain pytest says of a candidate on a copy of one."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from textwrap import dedent

from p2assist.config import Config, HarnessConfig, TeamConfig, UserConfig
from p2assist.experience import Task
from p2assist.harness.impact import ImpactMap

RECORDER = """
import json, os
own = os.getpid()
def said(*fields):
    if os.getpid() == own:
        with open(os.environ["SAID"], "a") as file:
            file.write(json.dumps(fields) + "\\n")
def pytest_runtest_logreport(report):
    said(report.nodeid, report.when, report.outcome)
def pytest_collectreport(report):
    if report.failed:
        said(report.nodeid, "collect", "failed")
"""

# One file that uses everything that is refused when it is new, so that hostile candidates get as
# far as the sandbox.
SHOP = {
    "shop/__init__.py": "",
    "shop/prices.py": '''
        RATE = 2


        def total(prices):
            """The sum."""
            return sum(prices)


        def label(number):
            if number < 0:
                raise ValueError("negative")
            return f"#{number}"


        def untested():
            return 1
        ''',
    "shop/odd.py": """
        import ctypes, gc, importlib, inspect, os, socket, sys, unittest
        import pytest

        FORGERS = (os.write, os.fdopen, os.dup2, sys.modules, sys._getframe, gc.get_objects, eval)


        def twice(number):
            return number * 2


        def walk():
            names = "/proc/", "/dev/fd"
            return names
        """,
    "tests/test_prices.py": """
        import unittest

        import pytest

        from shop.prices import label, total


        @pytest.mark.parametrize("prices", [(1, 2), (), (5,)], ids=["two", "none", "one"])
        def test_total(prices):
            assert total(prices) == sum(prices)


        @pytest.fixture
        def seven():
            return label(7)


        def test_label(seven):
            assert seven == "#7"


        def test_negative():
            with pytest.raises(ValueError):
                label(-1)


        class TestCase(unittest.TestCase):
            def setUp(self):
                self.sum = total([1, 2, 3])

            def test_sum(self):
                self.assertEqual(self.sum, 6)


        class TestClass:
            def test_big(self):
                assert total([10**9, 1]) == 1000000001
        """,
    "tests/test_odd.py": """
        from shop.odd import twice


        def test_first():
            assert twice(0) == 0


        def test_twice():
            assert twice(4) == 8


        def test_last():
            assert twice(5) == 10
        """,
}


def write(root: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip("\n"))
    return root


@functools.cache
def bare_python(*more: str) -> Path:
    """An environment as a project has it: pytest, and neither p2assist nor other plugins than
    those named."""
    folder = Path(tempfile.mkdtemp(prefix="p2assist-tests-")).resolve()
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments", *more):
        distribution = metadata.distribution(name)
        for file in distribution.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(distribution.locate_file(file)), target)
    python = folder / "bin/python"
    subprocess.run([python, "-m", "compileall", "-q", packages], check=True)
    return python


def settings(root: Path, **harness: float) -> Config:
    limits = HarnessConfig(**{"workers": 2, **harness})  # type: ignore[arg-type]
    return Config(
        root=root.resolve(),
        team=TeamConfig(harness=limits),
        user=UserConfig(python=str(bare_python())),
    )


def make_task(config: Config, known: ImpactMap, path: str, span: str, source: str = "") -> Task:
    """The task whose span is the first place of the text."""
    source = source or (config.root / path).read_text()
    start = source.index(span)
    line = source.count("\n", 0, start) + 1
    tests = known.covering(path, line, line + span.count("\n"))
    return Task(path=path, source=source, start=start, end=start + len(span), tests=tests)


def plain_outcomes(
    config: Config, task: Task, text: str, folder: Path, *options: str
) -> dict[str, str]:
    """Plain pytest's outcome of each test, on a copy of the tree with the candidate in it."""
    copy = folder / "copy"
    shutil.copytree(config.root, copy, ignore=shutil.ignore_patterns(".p2assist", "__pycache__"))
    (copy / task.path).write_text(task.apply(text))
    (folder / "recorder.py").write_text(RECORDER)
    said = folder / "said"
    path = os.pathsep.join(str(f) for f in (folder, copy, copy / "src"))
    subprocess.run(
        [
            *(config.user.python, "-m", "pytest", "-q", "-p", "recorder", "-p", "no:cacheprovider"),
            *("--continue-on-collection-errors", "--rootdir", str(copy), *options),
        ],
        cwd=copy,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, "SAID": str(said)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    found: dict[str, str] = {}
    broken: list[str] = []
    for line in said.read_text().splitlines() if said.exists() else []:
        node_id, when, outcome = json.loads(line)
        if when == "collect":
            broken.append(node_id)
        elif outcome != "passed":
            found[node_id] = "failed" if when == "call" else "error"
        elif when == "teardown":
            found.setdefault(node_id, "passed")
    for test in task.tests:
        if any(test.node_id.startswith(f"{file}::") for file in broken):
            found[test.node_id] = "error"
    shutil.rmtree(copy)
    return found
