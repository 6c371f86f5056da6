from __future__ import annotations

import ast
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from p2assist.config import Config
from p2assist.errors import StoppedError
from p2assist.experience import Outcome, Task, TestOutcome, TestReport
from p2assist.harness import impact, sandbox
from p2assist.harness import server as server_module
from p2assist.harness.course import Course
from p2assist.harness.demand import Demand
from p2assist.harness.impact import ImpactMap
from p2assist.harness.outcomes import Verdict
from p2assist.harness.server import Server
from p2assist.harness.suite import Suite
from p2assist.harness.tester import WarmTester
from p2assist.harness.warm import Warm

from .helpers import bare_python, make_task, plain_outcomes, settings, write

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
    ("import functools", "import functools, nothing_of_the_kind", "subprocess"),
    ("yield 1", "return [1]", "subprocess"),
    ("return wrapper", "return function", "preload"),
]


@pytest.fixture(scope="module")
def traps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, ImpactMap]:
    config = settings(write(tmp_path_factory.mktemp("traps") / "repo", TRAPS))
    known = impact.build(config)
    known.save(config)
    assert not [t for t in known.tests if not t.counts]
    assert len(known.tests) == 14
    return config, known


@pytest.fixture(scope="module")
def trapped(traps: tuple[Config, ImpactMap]) -> Iterator[WarmTester]:
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


def make(config: Config, known: ImpactMap, span: str) -> Task:
    return make_task(config, known, "traps/state.py", span)


def test_outcomes_come_one_by_one_and_a_yes_or_no_ends_at_the_first_that_breaks(
    traps: tuple[Config, ImpactMap], trapped: WarmTester
) -> None:
    task = make(*traps, "self.size = size")
    heard: list[TestOutcome] = []
    whole = trapped.test(task, "self.size = -1", Demand(on_outcome=heard.append))
    assert {o.node_id for o in heard} == {o.node_id for o in whole.outcomes}
    assert len(heard) == len(whole.outcomes)
    demand = Demand(yes_or_no=True)
    first = trapped.test(task, "self.size = -2", demand)
    assert not first.complete
    assert first.reason == "partial: ended at the first test that breaks"
    assert not first.passes_all
    assert Outcome.NOT_RUN in {o.outcome for o in first.outcomes}
    assert trapped.test(task, "self.size = -2").complete  # a partial report is not remembered


def test_a_budget_gives_a_partial_report_that_says_so(
    traps: tuple[Config, ImpactMap], trapped: WarmTester
) -> None:
    task = make(*traps, "return text.upper()")
    report = trapped.test(task, "import time; time.sleep(60)", Demand(seconds=0.5))
    assert {o.outcome for o in report.outcomes} == {Outcome.NOT_RUN}
    assert report.reason == "partial: the budget of 0.5 s was used up"
    assert report.pass_rate is None


def test_a_caller_may_stop_it(traps: tuple[Config, ImpactMap], trapped: WarmTester) -> None:
    task = make(*traps, "return text.upper()")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(StoppedError):
        trapped.test(task, "import time; time.sleep(61)", Demand(stop=stop))


def test_a_changed_file_starts_another_server(tmp_path: Path) -> None:
    config = settings(
        write(
            tmp_path / "repo",
            {
                "one.py": "def f():\n    return 1\n",
                "two.py": "def g():\n    return 1\n",
                "test_one.py": "import one, two\ndef test_f():\n    assert one.f() == two.g()\n",
            },
        )
    )
    known = impact.build(config)
    known.save(config)
    task = make_task(config, known, "one.py", "return 1")
    with WarmTester(config, known) as tester:
        assert tester.test(task, "return 1 + 0").passes_all
        (config.root / "two.py").write_text("def g():\n    return 2\n")
        again = tester.test(task, "return 1 + 0")
        assert again.level == "swap"
        assert not again.passes_all
        assert tester.test(task, "return 2").passes_all


LEFT_OPEN = {
    "a thread": "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "a file": "LOG = open('log.txt', 'a')",
    "shared memory": "SHARED = mmap.mmap(-1, 4096)",
    "a process": "CHILD = subprocess.Popen(['sleep', '600'])",
    "a scratch file": "tempfile.mkdtemp()",
}


@pytest.mark.parametrize("name", LEFT_OPEN)
def test_what_children_would_share_is_not_shared(tmp_path: Path, name: str) -> None:
    head = "import mmap, subprocess, tempfile, threading, time\n"
    config = settings(
        write(
            tmp_path / "repo",
            {
                "one.py": "def f():\n    return 1\n",
                "conftest.py": head + LEFT_OPEN[name] + "\n",
                "test_one.py": "import one\ndef test_f():\n    assert one.f() == 1\n",
            },
        )
    )
    known = impact.build(config)
    task = make_task(config, known, "one.py", "return 1")
    with WarmTester(config, known) as tester:
        why = tester.warm_up()
        assert why["swap"] and not why["preload"]
        assert tester.test(task, "return 1 + 0").passes_all
        report = tester.test(task, "return 2")
    assert report.level == "preload"
    assert report.failing == ("test_one.py::test_f",)


def test_a_project_that_pytest_itself_needs_is_not_served(tmp_path: Path) -> None:
    config = settings(
        write(tmp_path / "repo", {"test_one.py": "import iniconfig\ndef test_f():\n    pass\n"})
    )
    packages = next(bare_python().parents[1].glob("lib/python*/site-packages"))
    shutil.copytree(packages / "iniconfig", config.root / "iniconfig")
    with Server(Suite.of(config)) as server:
        door = server.doors["preload"]
        assert not door.wait(time.monotonic() + 60)
        assert "iniconfig" in door.why and door.why.endswith("is the project's and pytest's own")


def test_candidates_cannot_reach_each_other_or_the_server(
    shop: tuple[Config, ImpactMap], warm_tester: WarmTester, shop_task: TaskOf
) -> None:
    task = shop_task("shop/odd.py", "return number * 2")
    writes = (
        "[open(p + '/left', 'w').close() for p in ('.', '/tmp', '/dev/shm', '/var/tmp')]\n"
        "    return number * 2"
    )
    looks = (
        "left = [p for p in ('.', '/tmp', '/dev/shm', '/var/tmp') if os.path.exists(p + '/left')]\n"
        "    pids = [n for n in os.listdir('/proc') if n.isdigit()]\n"
        "    return number * 2 if not left and len(pids) == 2 else 0"
    )
    assert warm_tester.test(task, writes).passes_all
    assert warm_tester.test(task, looks).passes_all
    for attack in (
        "os.kill(1, 9)",
        "open('/proc/1/mem', 'r+b')",
        "os.kill(-1, 9)",
        "[os.close(n) for n in range(3, 99)]",
        "ctypes.CDLL(None).unshare(0x20000) == 0 and number.missing",
        "socket.create_connection(('10.0.2.2', 80), 1)",
    ):
        report = warm_tester.test(task, f"{attack}\n    return 1")
        assert report.passed == 0
        assert report.level == "swap"
    assert warm_tester.test(task, "return number + number").passes_all
    assert not (shop[0].root / "left").exists()


def test_nothing_is_left_of_a_server(shop: tuple[Config, ImpactMap], shop_task: TaskOf) -> None:
    task = shop_task(*TOTAL)
    before = set(psutil.Process().children(recursive=True))
    mounts = Path("/proc/mounts").read_text()
    handles = len(list(Path("/proc/self/fd").iterdir()))
    with WarmTester(*shop) as tester:
        for number in range(12):
            tester.test(task, f"return {number}")
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [p for p in left if not before & set(p.parents())]
    assert Path("/proc/mounts").read_text() == mounts
    assert len(list(Path("/proc/self/fd").iterdir())) == handles


def test_a_killed_server_is_replaced(shop: tuple[Config, ImpactMap], shop_task: TaskOf) -> None:
    task = shop_task(*TOTAL)
    before = set(psutil.Process().children(recursive=True))
    with WarmTester(*shop) as tester:
        assert tester.test(task, "return 1").level == "swap"
        for process in set(psutil.Process().children()) - before:
            process.kill()
        report = tester.test(task, "return 2")
        assert len(report.outcomes) == 5
        assert tester.test(task, "return 3").level == "swap"


def test_a_sampled_verdict_that_plain_pytest_contradicts_is_noted(
    shop: tuple[Config, ImpactMap], shop_task: TaskOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = shop_task(*TOTAL)

    def lie(self: Warm, job: object, course: Course) -> TestReport:
        said = {test.node_id: Verdict(Outcome.PASSED) for test in task.tests}
        return course.report(said, TestReport(level="swap"))

    with WarmTester(*shop, sample=1.0) as tester:
        monkeypatch.setattr(Warm, "run", lie)
        report = tester.test(task, "return 0")
        assert report.level == "subprocess"
        assert report.passed == 1
        (drift,) = tester.drifts
        assert drift.level == "swap"
        assert set(drift.tests) == set(report.failing)
        assert tester.confirm(task, "return 0").failing == report.failing


def test_the_texts_that_run_inside_are_old_pythons(tmp_path: Path) -> None:
    folder = Path(server_module.__file__).parent
    for name in server_module._MODULES:
        ast.parse((folder / f"{name}.py").read_text(), feature_version=(3, 8))
