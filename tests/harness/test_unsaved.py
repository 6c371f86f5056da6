"""Candidates tested with other open buffers, none of them saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from p2assist.config import Config
from p2assist.experience import Task, TestReport
from p2assist.harness import impact, rounds
from p2assist.harness.demand import Demand
from p2assist.harness.evidence import evidence_at
from p2assist.harness.overlay import OwnFile
from p2assist.harness.tester import SubprocessTester, WarmTester
from p2assist.harness.unsaved import over

from .helpers import settings, write

LIB = "import used\n\ndef double(x):\n    return \n"
FILES = {
    "lib.py": LIB.replace("return ", "return x * used.two()"),
    "used.py": "def two():\n    return 2\n",
    "tests/conftest.py": "import pytest\n\n@pytest.fixture\ndef four():\n    return 4\n",
    "tests/test_lib.py": """
        import lib

        def test_double(four):
            assert lib.double(four) == 8
        """,
}
THREE = "def two():\n    return 3\n"
RENAMED = "def pair():\n    return 2\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Config, Task]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "_QUICK", 0.0)
        config = settings(write(tmp_path_factory.mktemp("unsaved") / "repo", FILES))
        known = impact.build(config)
        known.save(config)
        at = LIB.index("return ") + len("return ")
        tests = evidence_at(config.root, known, "lib.py", LIB, 4)
        yield config, Task("lib.py", LIB, at, at, tests=tests)


@pytest.fixture(scope="module", params=["subprocess", "warm"])
def tester(
    request: pytest.FixtureRequest, project: tuple[Config, Task]
) -> Iterator[SubprocessTester | WarmTester]:
    known = impact.load(project[0])
    assert known is not None
    if request.param == "subprocess":
        yield SubprocessTester(project[0], known)
        return
    with WarmTester(project[0], known) as warm:
        yield warm


def said(
    tester: SubprocessTester | WarmTester, task: Task, text: str, **unsaved: str
) -> TestReport:
    named = {name.replace("__", "/") + ".py": content for name, content in unsaved.items()}
    return tester.test(task, text, Demand(unsaved=named))


def test_a_buffer_stands_for_its_file(tester, project) -> None:
    task = project[1]
    assert said(tester, task, "x * used.two()").passes_all
    wrong = said(tester, task, "x * used.two()", used=THREE)
    assert wrong.pass_rate == 0.0
    assert wrong.reason == "with the unsaved used.py"
    assert said(tester, task, "x * used.pair()").pass_rate == 0.0
    assert said(tester, task, "x * used.pair()", used=RENAMED).passes_all
    assert said(tester, task, "x * used.two()").passes_all  # nothing of it stays


@pytest.mark.parametrize(
    "unsaved",
    [
        {"used": "def two(:\n"},  # half-written
        {"tests__test_lib": "def test_double():\n    assert False\n"},
        {"tests__conftest": "import pytest\n"},
        {"lib": "raise ValueError\n"},  # the task's own
        {"new": "x = 1\n"},
        {"..__elsewhere": "x = 1\n"},
    ],
)
def test_what_would_test_something_else_is_left_out(project, unsaved: dict[str, str]) -> None:
    config, task = project
    laid = OwnFile(config.root).lay(task, "1")
    named = {name.replace("__", "/") + ".py": content for name, content in unsaved.items()}
    assert over(laid, named, root=config.root, tests={"tests/test_lib.py"}) == laid


def test_a_buffer_is_laid_over_what_is_held(project) -> None:
    config, task = project
    laid = OwnFile(config.root).lay(task, "1")
    held = replace(
        laid, files=(*laid.files, ("used.py", b"held")), note="tested in something older"
    )
    made = over(held, {"used.py": THREE}, root=config.root, tests=())
    assert dict(made.files)["used.py"] == THREE.encode()
    assert made.files[0] == laid.files[0]
    assert made.note == "tested in something older; with the unsaved used.py"
