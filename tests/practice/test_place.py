from pathlib import Path

import pytest

from p2assist.config import Config
from p2assist.errors import RepositoryError
from p2assist.experience import Outcome, SpanKind
from p2assist.harness import credit
from p2assist.harness.credit import FileCoverage
from p2assist.harness.impact import BaselineTest, ImpactMap
from p2assist.harness.outline import outline
from p2assist.practice.place import Place, task_at

SOURCE = "def f(a):\n    b = a\n\n    return b\n\nx = 1\n"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "m.py").write_text(SOURCE)
    return Config(root=tmp_path)


def covered() -> ImpactMap:
    tests = (BaselineTest("t.py::one", Outcome.PASSED), BaselineTest("t.py::two", Outcome.PASSED))
    one, two = (credit.bit(place) for place in range(2))
    file = FileCoverage.of(outline(SOURCE)).credited({2: one, 4: one | two})
    return ImpactMap(tests=tests, coverage={"m.py": file}, files={})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("m.py:2", Place(Path("m.py"), 2)),
        ("a/m.py:2:7", Place(Path("a/m.py"), 2, 7)),
        ("C:/m.py:2:7", Place(Path("C:/m.py"), 2, 7)),
    ],
)
def test_parse(text: str, place: Place) -> None:
    assert Place.parse(text) == place


@pytest.mark.parametrize("text", ["m.py", "m.py:", "m.py:x", ":3"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(RepositoryError, match="FILE:LINE"):
        Place.parse(text)


def test_from_the_indentation_or_the_column_to_the_end_of_the_line(config: Config) -> None:
    whole = task_at(config, Place.parse("m.py:4"), SpanKind.LINE, None)
    assert whole.reference == "return b"
    rest = task_at(config, Place.parse("m.py:4:12"), SpanKind.LINE, None)
    assert rest.reference == "b"
    assert rest.function == "f"
    assert rest.apply("a") == SOURCE.replace("return b", "return a")


def test_tests_are_the_lines_or_the_functions(config: Config) -> None:
    impact = covered()
    line = task_at(config, Place.parse("m.py:2"), SpanKind.LINE, impact)
    assert [t.node_id for t in line.tests] == ["t.py::one"]
    empty = task_at(config, Place.parse("m.py:3"), SpanKind.LINE, impact)
    assert [t.node_id for t in empty.tests] == ["t.py::one", "t.py::two"]
    outside = task_at(config, Place.parse("m.py:6"), SpanKind.LINE, impact)
    assert len(outside.tests) == 2  # it runs at import
    assert outside.function == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [("m.py:99", "lines"), ("m.py:2:99", "columns"), ("other.py:1", "no file"), ("../x:1", "no")],
)
def test_places_that_are_not_there(config: Config, text: str, words: str) -> None:
    with pytest.raises(RepositoryError, match=words):
        task_at(config, Place.parse(text), SpanKind.LINE, None)


def test_half_written_code_is_no_obstacle(config: Config) -> None:
    (config.root / "m.py").write_text("def f(a:\n    return \n")
    task = task_at(config, Place.parse("m.py:2:12"), SpanKind.LINE, covered())
    assert task.reference == ""
    assert [t.node_id for t in task.tests] == ["t.py::one", "t.py::two"]  # the function's
