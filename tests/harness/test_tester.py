from __future__ import annotations

import _thread
import itertools
import os
import py_compile
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from p2assist.config import Config
from p2assist.experience import Change, CoveringTest, Outcome, Task
from p2assist.harness import impact, overlay, sandbox, suite
from p2assist.harness.impact import ImpactMap
from p2assist.harness.tester import NO_TEST, FakeTester, SubprocessTester, WarmTester

from .helpers import bare_python, make_task, plain_outcomes, settings

TaskOf = Callable[[str, str], Task]
AnyTester = SubprocessTester | WarmTester
TOTAL = ("shop/prices.py", "return sum(prices)")
LABEL = ("shop/prices.py", 'return f"#{number}"')
TWICE = ("shop/odd.py", "return number * 2")


def outcomes(report: object) -> dict[str, str]:
    return {o.node_id: o.outcome.value for o in report.outcomes}  # type: ignore[attr-defined]


def test_the_reference_passes(shop_tester: AnyTester, shop_task: TaskOf) -> None:
    task = shop_task(*TOTAL)
    report = shop_tester.test(task, task.reference)
    assert report.passes_all
    assert report.total == len(task.tests) == 5
    assert report.level in ("subprocess", "swap")
    assert report.isolation == sandbox.detect().name
    assert report.reason == ""
    assert report.seconds > 0


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (TOTAL, "return 3"),
        (TOTAL, "return None"),
        (TOTAL, "raise SystemExit(0)"),
        (TOTAL, "import sys; sys.exit(0)"),
        (TOTAL, "return total(prices)"),
        (TOTAL, "return sum(prices"),
        (TOTAL, "return undefined"),
        (TOTAL, "print('5 passed in 0.01s')\n    return -1"),
        (LABEL, "raise ImportError(number)"),
        (LABEL, 'return f"#{number}" if number > 0 else 1 / 0'),
        (("shop/prices.py", "RATE = 2"), "RATE = undefined"),
        (("shop/prices.py", "RATE = 2"), "import not_there"),
        (("shop/prices.py", "def label(number):"), "def lable(number):"),
        (("shop/prices.py", "RATE = 2"), "RATE = 3"),
        (TWICE, "pytest.skip('not today')"),
        (TWICE, "raise unittest.SkipTest('not today')"),
    ],
)
def test_the_outcomes_are_those_of_plain_pytest(
    shop: tuple[Config, ImpactMap],
    shop_tester: AnyTester,
    shop_task: TaskOf,
    tmp_path: Path,
    place: tuple[str, str],
    text: str,
) -> None:
    task = shop_task(*place)
    assert task.tests
    expected = plain_outcomes(shop[0], task, text, tmp_path)
    found = outcomes(shop_tester.test(task, text))
    assert found == {test.node_id: expected[test.node_id] for test in task.tests}


def test_why_a_test_failed_is_told_in_one_short_line(
    shop_tester: AnyTester, shop_task: TaskOf
) -> None:
    task = shop_task(*LABEL)
    report = shop_tester.test(task, "raise RuntimeError('a\\n\\x1b[31mb\\x00' + 'c' * 9999)")
    message = report.outcomes[0].message
    assert message.startswith("RuntimeError: a [31mb c")
    assert len(message) == 500
    assert message.isprintable()


def test_why_a_case_of_unittest_failed_is_told_too(
    shop_tester: AnyTester, shop_task: TaskOf
) -> None:
    report = shop_tester.test(shop_task("shop/prices.py", "return sum(prices)"), "return 7")
    [said] = [o.message for o in report.outcomes if o.node_id.endswith("TestCase::test_sum")]
    assert said == "AssertionError: 7 != 6"


FORGERIES = {
    "os._exit": "os._exit(0)",
    "killed": "os.kill(os.getpid(), 9)",
    "pytest.exit": "pytest.exit('done', returncode=0)",
    "interrupt": "raise KeyboardInterrupt",
    "segfault": "ctypes.string_at(0)",
    "closed": "os.closerange(3, 256); os._exit(0)",
    "garbage": "[os.write(fd, b'phase passed') for fd in range(3, 64) if os.path.exists("
    "f'/proc/self/fd/{fd}')]; os._exit(0)",
    "reopened": "[open(f'/proc/self/fd/{fd}', 'wb').write(b'x' * 99) for fd in os.listdir("
    "'/proc/self/fd')]",
    "replaced": "os.execv(sys.executable, [sys.executable, '-c', 'print(1)'])",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_ending_the_process_or_writing_about_passes_nothing(
    shop_tester: AnyTester, shop_task: TaskOf, name: str
) -> None:
    task = shop_task(*TWICE)
    report = shop_tester.test(task, FORGERIES[name])
    assert len(report.outcomes) == 3
    assert {o.outcome for o in report.outcomes} <= {Outcome.CRASHED, Outcome.FAILED}
    assert report.passed == 0


def test_what_was_reported_before_a_crash_counts(shop_tester: AnyTester, shop_task: TaskOf) -> None:
    task = shop_task(*TWICE)
    report = shop_tester.test(task, "os._exit(0) if number == 4 else 0\n    return number * 2")
    assert list(outcomes(report).values()) == ["passed", "crashed", "crashed"]


def test_a_flood_of_reports_is_cut_off(shop_tester: AnyTester, shop_task: TaskOf) -> None:
    flood = (
        "import stat\n    for fd in range(3, 64):\n"
        "        there = os.path.exists(f'/proc/self/fd/{fd}')\n"
        "        if there and stat.S_ISSOCK(os.fstat(fd).st_mode):\n"
        "            while True: os.write(fd, b'x' * 60000)"
    )
    report = shop_tester.test(shop_task(*TWICE), flood)
    assert report.passed == 0
    assert report.reason == "it reported too much"


@pytest.mark.parametrize("text", ["import time; time.sleep(600)", "while True: pass"])
def test_a_hanging_candidate_is_a_timeout(
    shop: tuple[Config, ImpactMap], shop_task: TaskOf, text: str
) -> None:
    config, known = shop
    quick = SubprocessTester(settings(config.root, timeout=3), known)
    report = quick.test(shop_task(*TOTAL), text)
    assert set(outcomes(report).values()) == {"timeout"}
    assert report.passed == 0
    assert report.total == 5


def test_a_slow_suite_gets_more_time(
    shop: tuple[Config, ImpactMap], shop_task: TaskOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, known = shop
    asked = []
    run = suite.Suite.run

    def spy(self: object, what: object, **more: object) -> object:
        asked.append((what.timeout, what.cpu))  # type: ignore[attr-defined]
        return run(self, what, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(suite.Suite, "run", spy)
    slow = replace(known, tests=tuple(replace(t, seconds=4) for t in known.tests))
    assert SubprocessTester(config, slow).test(shop_task(*TOTAL), "return 5").total == 5
    assert asked == [(100, 100)]  # five tests of 4 s, five times; no more processor time than that


def test_a_candidate_that_reaches_for_the_runner_is_refused(
    shop_tester: AnyTester, shop_task: TaskOf
) -> None:
    task = shop_task(*TOTAL)
    report = shop_tester.test(task, "import gc, _pytest.runner\n    return sum(prices)")
    assert set(outcomes(report).values()) == {"refused"}
    assert report.pass_rate == 0
    assert report.reason == "refused: it newly uses _pytest, gc"
    assert report.seconds == 0


def test_without_covering_tests_nothing_is_run(shop_tester: AnyTester, shop_task: TaskOf) -> None:
    task = shop_task("shop/prices.py", "return 1\n")
    assert task.tests == ()
    report = shop_tester.test(task, "return 2")
    assert report.pass_rate is None
    assert report.reason == report.evidence == NO_TEST


def test_the_unsaved_buffer_is_what_is_tested(
    shop: tuple[Config, ImpactMap], shop_tester: AnyTester
) -> None:
    config, known = shop
    on_disk = (config.root / "shop/prices.py").read_text()
    source = on_disk.replace("RATE = 2", "RATE = 2\n\n\ndef add(numbers):\n    return sum(numbers)")
    task = make_task(config, known, "shop/prices.py", TOTAL[1], source)
    tests = known.covering("shop/prices.py", 6, 6)
    task = Task(path=task.path, source=source, start=task.start, end=task.end, tests=tests)
    assert tests
    assert shop_tester.test(task, "return add(prices)").passes_all
    assert (config.root / "shop/prices.py").read_text() == on_disk


def test_equal_syntax_trees_share_a_run(shop_tester: AnyTester, shop_task: TaskOf) -> None:
    task = shop_task(*LABEL)
    first = shop_tester.test(task, "return '#' + str(number)")
    assert shop_tester.test(task, "return '#' + str(number)  # the same") is first
    assert shop_tester.test(task, 'return ("#" + str(number))') is first
    assert shop_tester.test(task, "return '$' + str(number)") is not first


def test_what_does_not_parse_fails_where_only_a_tests_own_body_imports_it(
    project: Callable[..., Config],
) -> None:
    config = project(
        {
            "late.py": "def f():\n    return 1\n",
            "early.py": "def g():\n    return 1\n",
            "test_both.py": "import pytest, early\n"
            "def test_late():\n    import late\n    assert late.f() == 1\n"
            "def test_caught():\n"
            "    try:\n        import late\n        late.f()\n"
            "    except SyntaxError:\n        pass\n"
            "def test_early():\n    assert early.g() == 1\n",
        }
    )
    known = impact.build(config)
    known.save(config)
    assert (known.imported("early.py"), known.imported("late.py")) == (True, False)
    assert not known.imported("nowhere.py")
    late = make_task(config, known, "late.py", "return 1")
    early = make_task(config, known, "early.py", "return 1")
    with WarmTester(config, known) as warm:
        for tester in (SubprocessTester(config, known), warm):
            told = {o.node_id: o.outcome for o in tester.test(late, "return (").outcomes}
            assert told == {
                "test_both.py::test_late": Outcome.FAILED,
                "test_both.py::test_caught": Outcome.PASSED,
            }
            (one,) = tester.test(early, "return (").outcomes
            assert one.outcome is Outcome.ERROR


def test_a_stale_compiled_file_is_never_loaded(project: Callable[..., Config]) -> None:
    config = project(
        {
            "one.py": "def f():\n    return 1\n",
            "two.py": "def g():\n    return 1\n",
            "test_one.py": "import one, two\ndef test_f():\n    assert one.f() == two.g() == 1\n",
        }
    )
    known = impact.build(config)
    known.save(config)
    assert known.compiled
    # A compiled file that Python does not check against its source at all.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(config.root / "one.py"), invalidation_mode=mode, doraise=True)
    unchanged = SubprocessTester(config, known)
    task = make_task(config, known, "one.py", "return 1")
    assert not unchanged.test(task, "return 2").passes_all
    # Another file changes under the tester, with its size and its time stamp kept.
    two = config.root / "two.py"
    times = two.stat()
    two.write_text("def g():\n    return 3\n")
    os.utime(two, ns=(times.st_atime_ns, times.st_mtime_ns))
    fresh = SubprocessTester(config, known)
    for one in (unchanged, fresh):
        assert not one.test(task, "return  1 * 1").passes_all


def test_a_test_that_failed_before_may_be_gained(
    shop: tuple[Config, ImpactMap], shop_task: TaskOf
) -> None:
    config, known = shop
    task = shop_task(*TWICE)
    other = known.tests[-1]
    failed = impact.BaselineTest(other.node_id, Outcome.FAILED)
    before = replace(known, tests=(*known.tests[:-1], failed))
    both = Task(
        path=task.path,
        source=task.source,
        start=task.start,
        end=task.end,
        tests=(CoveringTest(other.node_id), *task.tests),
    )
    report = SubprocessTester(config, before).test(both, task.reference)
    assert [o.change for o in report.outcomes] == [Change.GAINED, *[Change.KEPT] * 3]
    assert report.passes_all


def test_many_keeps_the_order_and_does_not_run_far_ahead(
    shop_tester: AnyTester, shop_task: TaskOf
) -> None:
    task = shop_task(*TOTAL)
    taken = itertools.count()

    def pairs() -> Iterator[tuple[Task, str]]:
        for text in ("return 0", "return sum(prices", "return sum(prices)", *["return 9"] * 40):
            next(taken)
            yield task, text

    reports = shop_tester.test_many(pairs())
    rates = [next(reports).pass_rate for _ in range(3)]
    assert rates == [0.2, 0.0, 1.0]
    assert next(taken) < 40
    reports.close()  # type: ignore[attr-defined]


def running() -> int:
    """How many processes a run has: the launcher, pytest and, in namespaces, their pid 1."""
    return 3 if sandbox.detect().name == "namespaces" else 2


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def new(before: set[psutil.Process]) -> list[psutil.Process]:
    """Children that came since; a warm server of before may replace its own."""
    return [
        child for child in children() if child not in before and not before & set(ancestors(child))
    ]


def ancestors(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.parents()
    except psutil.NoSuchProcess:
        return []


def test_closing_the_iterator_ends_every_run(
    shop: tuple[Config, ImpactMap], shop_task: TaskOf
) -> None:
    config, known = shop
    patient = SubprocessTester(settings(config.root, timeout=300), known)
    task, before = shop_task(*TOTAL), set(children())
    sleepers = [(task, f"import time; time.sleep({n}00)") for n in range(1, 9)]
    reports = patient.test_many([(task, "return 0 - 1"), *sleepers])
    assert next(reports).passed == 0
    deadline = time.monotonic() + 60
    while len(new(before)) < 2 * running() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(new(before)) >= 2 * running()  # both workers are at it
    reports.close()  # type: ignore[attr-defined]
    assert not new(before)


def test_an_interrupt_leaves_nothing_running(
    shop: tuple[Config, ImpactMap], shop_task: TaskOf
) -> None:
    config, known = shop
    patient = SubprocessTester(settings(config.root, timeout=300), known)
    before = set(children())

    def interrupt() -> None:
        while len(new(before)) < running():
            time.sleep(0.05)
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        patient.test(shop_task(*TOTAL), "import time; time.sleep(300)")
    assert not new(before)


def test_killing_the_caller_kills_the_candidate(shop: tuple[Config, ImpactMap]) -> None:
    script = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[3]]\n"
        "from pathlib import Path\n"
        "from helpers import make_task\n"
        "from p2assist.config import Config, HarnessConfig, TeamConfig, UserConfig\n"
        "from p2assist.harness import impact\n"
        "from p2assist.harness.tester import SubprocessTester\n"
        "team = TeamConfig(harness=HarnessConfig(timeout=300))\n"
        "user = UserConfig(python=sys.argv[4])\n"
        "config = Config(root=Path(sys.argv[2]), team=team, user=user)\n"
        "known = impact.load(config)\n"
        "task = make_task(config, known, 'shop/prices.py', 'return sum(prices)')\n"
        "SubprocessTester(config, known).test(task, 'import time; time.sleep(300)')\n"
    )
    here = Path(__file__).parent
    caller = subprocess.Popen(
        [sys.executable, "-c", script, here, shop[0].root, here.parents[1], bare_python()], cwd="/"
    )
    try:
        process, deadline, below = psutil.Process(caller.pid), time.monotonic() + 60, []
        while len(below) < running() and time.monotonic() < deadline:
            below = process.children(recursive=True)
            time.sleep(0.05)
        assert below
    finally:
        caller.kill()
        caller.wait()
    assert not psutil.wait_procs(below, timeout=60)[1]


def test_the_fake_passes_the_reference_alone(shop_task: TaskOf) -> None:
    task = shop_task(*TOTAL)
    fake = FakeTester()
    assert fake.test(task, task.reference).passes_all
    assert fake.test(task, "return 0").passed == 0
    assert fake.test(shop_task("shop/prices.py", "return 1\n"), "x").reason == NO_TEST
    chosen = FakeTester(lambda task, text, node_id: "two" in node_id or Outcome.TIMEOUT)
    reports = list(chosen.test_many([(task, "a"), (task, "b")]))
    assert [report.passed for report in reports] == [1, 1]


def test_a_source_is_written_in_the_encoding_it_declares() -> None:
    assert overlay.encode("# coding: latin-1\nx = 'é'\n") == "# coding: latin-1\nx = 'é'\n".encode(
        "latin-1"
    )
    assert overlay.encode("x = 'é'\n") == "x = 'é'\n".encode()
    assert overlay.encode("# coding: nonsense\n") == b"# coding: nonsense\n"
