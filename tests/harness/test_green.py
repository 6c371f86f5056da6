"""Candidates in half-written files, through the tester."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from p2assist.config import Config
from p2assist.experience import Outcome, SpanKind, Task
from p2assist.harness import impact, rounds, tree
from p2assist.harness.evidence import evidence_at
from p2assist.harness.green import Contents, GreenTree, decode
from p2assist.harness.impact import ImpactMap
from p2assist.harness.tester import SubprocessTester, WarmTester

from .helpers import settings, write

LIB = """
def double(x):
    return x * 2


def triple(x):
    return x * 3


class Box:
    def size(self):
        return 1
"""
FILES = {
    "lib.py": LIB,
    "used.py": "def one():\n    return 1\n",
    "tests/test_lib.py": """
        import lib, used

        def test_double():
            assert lib.double(4) == 8 * used.one()

        def test_triple():
            assert lib.triple(4) == 12
        """,
}
NEW_TESTS = """
from lib import half

def test_half():
    assert half(4) == 2

def test_odd():
    assert half(3) == 1
"""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Config, ImpactMap]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "_QUICK", 0.0)
        config = settings(write(tmp_path_factory.mktemp("green") / "repo", FILES))
        yield config, impact.build(config)


@pytest.fixture
def copied(mapped: tuple[Config, ImpactMap], tmp_path: Path) -> tuple[Config, ImpactMap]:
    shutil.copytree(mapped[0].root, tmp_path / "repo")
    return settings(tmp_path / "repo"), mapped[1]


def task(config: Config, known: ImpactMap, source: str, mark: str = "<>") -> Task:
    """The task at the mark in the text of lib.py."""
    start = source.index(mark)
    source = source.replace(mark, "")
    line = source.count("\n", 0, start) + 1
    tests = evidence_at(config.root, known, "lib.py", source, line)
    return Task("lib.py", source, start, start, kind=SpanKind.LINE, tests=tests)


Made = Callable[[Config, ImpactMap], SubprocessTester | WarmTester]


@pytest.fixture(params=[SubprocessTester, WarmTester])
def made_tester(request: pytest.FixtureRequest) -> Iterator[Made]:
    with ExitStack() as stack:

        def make(config: Config, known: ImpactMap) -> SubprocessTester | WarmTester:
            tester = request.param(config, known, overlay=GreenTree(config, known))
            if isinstance(tester, WarmTester):
                stack.enter_context(tester)
            return tester  # type: ignore[no-any-return]

        yield make


def names(task: Task) -> list[str]:
    return [test.node_id.partition("::")[2] for test in task.tests]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("    return x * 2\n", "    y = x\n    <>\n", ["test_double"]),
        ("    return x * 2\n", "    if x:\n        <>\n", ["test_double"]),
        ("    return x * 2\n", "    return x * 2\n\n    <>\n", ["test_double"]),
        ("    return x * 2\n", "    return x * 2\n<>\n", []),
        ("        return 1\n", "        return 1\n\n    <>\n", []),  # of the class, not of size
    ],
)
def test_an_indented_blank_line_behind_a_function_belongs_to_it(
    mapped: tuple[Config, ImpactMap], old: str, new: str, wanted: list[str]
) -> None:
    config, known = mapped
    assert names(task(config, known, LIB.replace(old, new))) == wanted


def test_other_half_written_functions_do_no_harm(
    copied: tuple[Config, ImpactMap], made_tester: Made
) -> None:
    config, known = copied
    half = LIB.replace("return x * 2", "return <>").replace("return x * 3", "return x *")
    one = task(config, known, half)
    assert names(one) == ["test_double"]
    tester = made_tester(config, known)
    good, bad = (tester.test(one, text) for text in ("x * 2", "x * 5"))
    assert good.passes_all
    assert good.reason == "tested in the last green lib.py: since then the file does not parse"
    assert [o.outcome for o in bad.outcomes] == [Outcome.FAILED]
    wrong = LIB.replace("return x * 2", "return <>").replace("return 1", "return 2")
    said = tester.test(task(config, known, wrong), "x + x")
    assert said.passes_all
    assert said.reason == "tested in the last green lib.py: since then Box.size changed"
    own = LIB.replace("return x * 2", "return <>")
    assert tester.test(task(config, known, own), "x + x").reason == ""


def test_a_candidate_that_does_not_parse_is_told_so(
    copied: tuple[Config, ImpactMap], made_tester: Made
) -> None:
    config, known = copied
    half = LIB.replace("return x * 2", "return <>").replace("return x * 3", "return x *")
    report = made_tester(config, known).test(task(config, known, half), "x * (")
    assert [o.outcome for o in report.outcomes] == [Outcome.ERROR]
    assert "SyntaxError" in report.outcomes[0].message


def test_another_half_written_file_does_no_harm(
    copied: tuple[Config, ImpactMap], made_tester: Made
) -> None:
    config, known = copied
    (config.root / "used.py").write_text("def one(:\n")
    one = task(config, known, LIB.replace("x * 2", "<>"))
    tester = made_tester(config, known)
    assert tester.test(one, "x + x").passes_all
    assert not tester.test(one, "x").passed


def test_a_file_that_breaks_tests_does_no_harm(
    copied: tuple[Config, ImpactMap], made_tester: Made
) -> None:
    config, known = copied
    (config.root / "used.py").write_text("def one():\n    return 7\n")
    held = impact.update(config, known)
    assert set(held.held) == {"used.py"}
    one = task(config, held, LIB.replace("x * 2", "<>"))
    assert made_tester(config, held).test(one, "x + x").passes_all


@pytest.mark.parametrize("own_file", [True, False])
def test_a_new_function_is_tested_by_the_tests_that_name_it(
    copied: tuple[Config, ImpactMap], made_tester: Made, own_file: bool
) -> None:
    config, known = copied
    if own_file:
        (config.root / "tests/test_half.py").write_text(NEW_TESTS)
    else:
        file = config.root / "tests/test_lib.py"
        file.write_text(NEW_TESTS + file.read_text())
    known = impact.update(config, known)  # it cannot be collected: there is no `half` yet
    new = task(config, known, LIB + "\n\ndef half(x):\n    <>")
    assert names(new) == ["test_half", "test_odd"]
    tester = made_tester(config, known)
    right, partly, wrong = (
        tester.test(new, text) for text in ("return x // 2", "return x / 2", "return 7")
    )
    assert (right.passed, right.total) == (2, 2)
    assert (partly.passed, partly.total) == (1, 1)
    assert (wrong.passed, wrong.total) == (0, 0)
    assert wrong.pass_rate is None
    assert {o.baseline for o in right.outcomes} == {Outcome.ERROR}


def test_a_stub_that_tests_fail_on_is_gained(
    copied: tuple[Config, ImpactMap], made_tester: Made
) -> None:
    config, known = copied
    (config.root / "tests/test_half.py").write_text(NEW_TESTS)
    stub = LIB + "\n\ndef half(x):\n    raise NotImplementedError\n"
    (config.root / "lib.py").write_text(stub)
    known = impact.update(config, known)
    assert {t.node_id for t in known.failing} == {
        "tests/test_half.py::test_half",
        "tests/test_half.py::test_odd",
    }
    new = task(config, known, stub.replace("raise NotImplementedError", "<>"))
    assert names(new) == ["test_half", "test_odd"]
    report = made_tester(config, known).test(new, "return x // 2")
    assert (report.passed, report.total) == (2, 2)


def test_what_the_file_or_the_editor_uses_already_is_no_reason_to_refuse(tmp_path: Path) -> None:
    lib = LIB + "\n\nimport inspect\n\n\ndef doc():\n    return inspect.getdoc(int)\n"
    config = settings(write(tmp_path / "repo", FILES | {"lib.py": lib}))
    known = impact.build(config)
    half = lib.replace("return x * 2", "return (<>")
    typed = lib.replace("return x * 2", "eval('1')\n    return <>")
    with WarmTester(config, known, overlay=GreenTree(config, known)) as tester:
        assert tester.test(task(config, known, half), "x * 2)").passes_all
        assert tester.test(task(config, known, typed), "x * 2").passes_all
        refused = tester.test(task(config, known, typed), "x * 2 if vars() else 0")
        assert refused.reason == "refused: it newly uses vars()"
        assert tester.test(task(config, known, half), "eval('8'))").reason.startswith("refused")


def test_contents_are_whole_or_not_there(mapped: tuple[Config, ImpactMap]) -> None:
    config, known = mapped
    kept = Contents(config)
    digest = known.files["lib.py"]
    content = kept.get(digest)
    assert content is not None
    assert decode(content) == (config.root / "lib.py").read_text()
    file = config.state / "green" / digest
    file.write_bytes(content[:-3])
    assert kept.get(digest) is None
    file.unlink()
    assert kept.get(digest) is None
    kept.keep([content])
    assert kept.get(digest) == content
    assert kept.get(tree.digest(b"never seen")) is None
