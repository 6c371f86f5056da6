"""One run of a project's tests: what it sees of the world, in each isolation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from p2assist.config import Config
from p2assist.errors import HarnessError
from p2assist.experience import Task
from p2assist.harness import impact
from p2assist.harness.impact import ImpactMap
from p2assist.harness.suite import Run, Suite
from p2assist.harness.tester import SubprocessTester

from .helpers import make_task
from .test_sandbox import NAMES

Project = Callable[..., Config]
GOOD = {"lib.py": "def f():\n    return 1\n", "test_it.py": "import lib\ndef test_f(): lib.f()\n"}


def isolated(config: Config, name: str) -> Config:
    return replace(config, user=replace(config.user, isolation=name))


@pytest.mark.parametrize("name", [*NAMES, "none"])
def test_every_isolation_gives_the_same_verdicts(shop: tuple[Config, ImpactMap], name: str) -> None:
    config, known = shop
    tester = SubprocessTester(isolated(config, name), known)
    before = {p: p.stat().st_mtime_ns for p in config.root.rglob("*")}
    task = make_task(config, known, "shop/prices.py", "return sum(prices)")
    reports = tester.test_many([(task, "return sum(list(prices))"), (task, "return 6")])
    assert [(r.passed, r.total, r.isolation) for r in reports] == [(5, 5, name), (1, 5, name)]
    assert {p: p.stat().st_mtime_ns for p in config.root.rglob("*")} == before


def test_the_tests_see_no_secret_and_no_store(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "hunter2")
    config = project(
        {
            **GOOD,
            ".env": "KEY=1",
            ".env.local": "KEY=1",
            ".p2assist/replay.db": "store",
            ".git/config": "url = https://token@host",
            ".git/HEAD": "ref: x",
            "test_see.py": """
                import os
                import pathlib

                def test_files():
                    seen = {str(p) for p in pathlib.Path().rglob("*") if p.is_file()}
                    assert {".git/HEAD", "lib.py"} <= seen
                    assert not [p for p in seen if "env" in p or "p2assist" in p or "config" in p]

                def test_environment():
                    assert not [v for v in os.environ.values() if "hunter2" in v]
                    assert set(os.environ) <= {
                        "PATH", "HOME", "TMPDIR", "PYTHONPATH", "PYTHONHASHSEED", "LANG", "LC_ALL",
                        "LC_CTYPE", "TZ", "PYTHONDONTWRITEBYTECODE", "PYTEST_CURRENT_TEST",
                        "PYTEST_VERSION", "COVERAGE_CORE",
                    }
                """,
        }
    )
    transcript, ending = Suite.of(config).run(Run())
    assert ending.output.splitlines()[-1].startswith("3 passed")
    assert transcript.status == 0


def test_neither_arguments_nor_environment_hold_the_channel(project: Project) -> None:
    config = project(
        {
            "test_it.py": """
                import os, sys

                def test_f():
                    seen = open("/proc/self/cmdline").read() + open("/proc/self/environ").read()
                    assert "nonce\\": " not in seen and "channel\\": " not in seen
                    assert os.readlink("/proc/self/fd/0") == "/dev/null"
                    assert sys.argv[0] == "pytest"
                """
        }
    )
    transcript, ending = Suite.of(config).run(Run())
    assert transcript.status == 0, ending.output


@pytest.mark.parametrize("name", NAMES)
def test_links_in_the_repository_lead_nowhere(project: Project, name: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    compiled = outside / "__pycache__/lib.cpython-311.pyc"
    compiled.parent.mkdir(parents=True)
    compiled.write_bytes(b"compiled")
    (outside / "lib.py").write_text("def f():\n    return 1\n")
    config = project(GOOD)
    known = impact.build(config)
    (config.root / "away").symlink_to(outside)
    (config.root / "inner").symlink_to(config.root)
    tester = SubprocessTester(isolated(config, name), known)
    task = make_task(config, known, "lib.py", "return 1")
    through = Task("inner/lib.py", task.source, task.start, task.end, tests=task.tests)
    assert tester.test(through, "return 2").passes_all
    with pytest.raises(HarnessError, match="not inside"):
        tester.test(replace(through, path="away/lib.py"), "return 2")
    with pytest.raises(HarnessError, match="not inside"):
        tester.test(replace(through, path="../outside/lib.py"), "return 2")
    # Even what the tester did not look at is stopped where it is written.
    suite = Suite.of(isolated(config, name))
    for path in ("away/lib.py", "../outside/lib.py"):
        run = Run(tests=(), files=((path, b"changed"),), stale=(path,))
        try:
            suite.run(run)
        except HarnessError as error:
            assert "leads out of the repository" in str(error)
    assert (outside / "lib.py").read_text() == "def f():\n    return 1\n"
    assert compiled.read_bytes() == b"compiled"


@pytest.mark.parametrize("name", NAMES)
def test_special_files_in_the_repository_are_no_obstacle(project: Project, name: str) -> None:
    config = project(GOOD)
    os.mkfifo(config.root / "pipe")
    transcript, _ = Suite.of(isolated(config, name)).run(Run())
    assert transcript.status == 0
