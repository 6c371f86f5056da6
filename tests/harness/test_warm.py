from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from p2assist.config import Config
from p2assist.experience import Task
from p2assist.harness import impact, sandbox
from p2assist.harness.impact import ImpactMap
from p2assist.harness.tester import WarmTester

from .helpers import make_task, plain_outcomes

pytestmark = pytest.mark.skipif(
    sandbox.detect().name != "namespaces", reason="the warm server needs namespaces"
)

TaskOf = Callable[[str, str], Task]
TOTAL = ("shop/prices.py", "return sum(prices)")

# Everything that a warm process could get wrong, each with edits and the level that must judge.
TRAPS = {
    "traps/__init__.py": "",
    "traps/state.py": '''
        import functools
        import random

        SEEN = []


        def at_import():
            return 5


        FIVE = at_import()


        @functools.lru_cache(maxsize=None)
        def cached(number):
            return number * 2


        def logged(function):
            @functools.wraps(function)
            def wrapper(*args):
                SEEN.append(function.__name__)
                return function(*args)

            return wrapper


        @logged
        def shout(text):
            return text.upper()


        def counter():
            count = 0

            def step(by=1):
                nonlocal count
                count += by
                return count

            return step


        step = counter()
        doubled = lambda number: number * 2; tripled = lambda number: number * 3


        def numbers():
            yield 1
            yield 2


        suspended = numbers()
        next(suspended)


        class Shape:
            SIDES = 4

            def __init__(self, size=1):
                self.size = size

            @property
            def area(self):
                return self.size**2

            @classmethod
            def unit(cls):
                return cls(1)

            @staticmethod
            def name():
                return "square"

            def __eq__(self, other):
                return self.size == other.size

            __hash__ = None


        class Big(Shape):
            def __init__(self):
                super().__init__(10)


        def documented():
            """
            >>> documented()
            3
            """
            return 3


        def rolled():
            return random.random()
        ''',
    "conftest.py": """
        import random

        import pytest

        from traps.state import Shape

        random.seed(7)


        @pytest.fixture(scope="session")
        def shape():
            return Shape(3)
        """,
    "pytest.ini": "[pytest]\naddopts = --doctest-modules\n",
    "test_traps.py": """
        import inspect
        import sys
        import unittest

        import pytest

        from traps import state
        from traps.state import Big, Shape, cached, counter, doubled, numbers, shout, step, tripled


        def test_five():
            assert state.FIVE == state.at_import() == 5


        def test_cached():
            assert cached(2) == 4
            assert cached.cache_info().misses == 1


        def test_shout():
            assert shout("a") == "A"
            assert state.SEEN[-1:] == ["shout"]


        def test_step():
            assert step() == 1
            assert step(2) == 3
            assert counter()() == 1


        def test_lambdas():
            assert (doubled(2), tripled(2)) == (4, 6)


        def test_numbers():
            assert next(state.suspended) == 2
            assert list(numbers()) == [1, 2]


        def test_shape(shape):
            assert shape.area == 9
            assert Shape.unit() == Shape(1)
            assert Shape.name() == "square"
            assert Big().size == 10
            assert Shape.SIDES == 4


        @pytest.mark.parametrize("size", [1, 2])
        def test_area(size):
            assert Shape(size).area == size * size


        def test_source():
            assert "number * 2" in inspect.getsource(cached)
            assert inspect.signature(step).parameters["by"].default == 1


        def test_rolled():
            assert state.rolled() == 0.32383276483316237


        def test_output(capfd):
            print(shout("x"))
            assert "X" in capfd.readouterr().out


        class TestCase(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.shape = Shape(2)

            def test_area(self):
                self.assertEqual(self.shape.area, 4)
        """,
}
EDITS = [
    ("return number * 2", "return number * 3", "swap"),
    ("return number * 2", "return number + number", "swap"),
    ("return 5", "return 6", "preload"),
    ("FIVE = at_import()", "FIVE = 6", "preload"),
    ("SEEN.append(function.__name__)", "pass", "swap"),
    ("return text.upper()", "return text.lower()", "swap"),
    ("return text.upper()", "return text.upper() if text else None\n\n# longer\n", "swap"),
    ("count += by", "count += by + 1", "swap"),
    ("count = 0", "count = 1", "preload"),
    ("def step(by=1):", "def step(by=2):", "preload"),
    ("number * 2; tripled", "number * 5; tripled", "swap"),
    ("number * 3", "number * 1", "swap"),
    ("number * 2; tripled = lambda number: number * 3", "6; tripled = lambda number: 4", "swap"),
    ("yield 2", "yield 3", "preload"),
    ("self.size = size", "self.size = size + 1", "swap"),
    ("self.size = size", "self.size = self.other = size", "swap"),
    ("return self.size**2", "return self.size * 2", "swap"),
    ("return cls(1)", "return cls(2)", "swap"),
    ('return "square"', "return 1", "swap"),
    ("SIDES = 4", "SIDES = 4.0", "preload"),
    ("SIDES = 4", "SIDES = 5", "preload"),
    ("super().__init__(10)", "Shape.__init__(self, 11)", "preload"),
    ("super().__init__(10)", "super().__init__(11)", "swap"),
    ("return self.size == other.size", "return False", "swap"),
    (">>> documented()\n    3", ">>> documented()\n    4", "preload"),
    ("return 3", "return 4", "swap"),
    ("return random.random()", "return random.random() + 0", "swap"),
    ("return random.random()", "return random.Random(7).random()", "swap"),
    ("import functools", "import functools, nothing_of_the_kind", "preload"),
    ("yield 1", "return [1]", "preload"),
    ("return wrapper", "return function", "preload"),
]


@pytest.fixture(scope="module")
def traps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, ImpactMap]:
    from .helpers import settings, write

    config = settings(write(tmp_path_factory.mktemp("traps") / "repo", TRAPS))
    known = impact.build(config)
    known.save(config)
    assert not [t for t in known.tests if not t.counts]
    assert len(known.tests) == 14
    return config, known


@pytest.fixture(scope="module")
def trapped(traps: tuple[Config, ImpactMap]) -> WarmTester:
    with WarmTester(*traps) as tester:
        assert tester.warm_up() == {"swap": "", "preload": ""}
        yield tester


@pytest.mark.parametrize(("span", "text", "level"), EDITS)
def test_every_verdict_is_plain_pytests(
    traps: tuple[Config, ImpactMap],
    trapped: WarmTester,
    tmp_path: Path,
    span: str,
    text: str,
    level: str,
) -> None:
    config, known = traps
    task = make_task(config, known, "traps/state.py", span)
    everything = tuple(t for t in known.covering("traps/state.py", 1, 1))
    task = Task(task.path, task.source, task.start, task.end, tests=everything)
    expected = plain_outcomes(config, task, text, tmp_path)
    report = trapped.test(task, text)
    found = {o.node_id: o.outcome.value for o in report.outcomes}
    assert found == {test.node_id: expected.get(test.node_id, "error") for test in task.tests}
    assert report.level == level
