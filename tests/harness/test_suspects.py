"""Why a whole report keeps the suite's order, and what a yes-or-no question may do without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from p2assist.config import Config
from p2assist.experience import Outcome, TestOutcome, TestReport
from p2assist.harness import impact
from p2assist.harness.demand import Demand
from p2assist.harness.failures import FILE, Failures
from p2assist.harness.impact import ImpactMap
from p2assist.harness.suite import Run, Suite
from p2assist.harness.tester import WarmTester
from p2assist.harness.worker import AS_WANTED

from .helpers import make_task, plain_outcomes, settings, write

JAR = {
    "jar.py": """
        LEFT = []


        def used(size):
            LEFT.append(size)
            got = list(LEFT)
            LEFT.clear()
            return got
        """,
    "test_jar.py": """
        import time

        from jar import used


        def test_slow():
            time.sleep(0.2)
            assert used(1) == [1]


        def test_quick():
            assert used(2) == [2]


        def test_last():
            assert used(3) == [3]
        """,
}
SLOW, QUICK, LAST = (f"test_jar.py::test_{name}" for name in ("slow", "quick", "last"))
LEAKS = "LEFT.extend(got); return got"
PARTIAL = "partial: ended at the first test that breaks"


@pytest.fixture(scope="module")
def jar(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, ImpactMap]:
    config = settings(write(tmp_path_factory.mktemp("jar") / "repo", JAR))
    known = impact.build(config)
    assert len(known.passing) == 3
    return config, known


@pytest.fixture
def tester(jar: tuple[Config, ImpactMap]) -> Iterator[WarmTester]:
    """One that has seen the quick test fail again and again."""
    past = Failures(jar[0].state / FILE)
    past.note(TestReport((TestOutcome(QUICK, Outcome.FAILED),)))
    past.save()
    with WarmTester(*jar) as made:
        yield made
    (jar[0].state / FILE).unlink()


def outcomes(report: TestReport) -> dict[str, Outcome]:
    return {o.node_id: o.outcome for o in report.outcomes}


def test_another_order_is_another_verdict(jar: tuple[Config, ImpactMap]) -> None:
    """The proof: no test of this project hangs on the others, but this candidate makes them."""
    config, known = jar
    task = make_task(config, known, "jar.py", "return got")
    files = (("jar.py", task.apply(LEAKS).encode()),)
    said = {}
    for order in ([SLOW, QUICK, LAST], [QUICK, SLOW, LAST]):
        run = Run(tests=order, paths=["test_jar.py"], files=files, order=AS_WANTED)
        transcript, _ = Suite.of(config).run(run)
        assert list(transcript.items) == [SLOW, QUICK, LAST]  # as collected
        said[order[0]] = [str(transcript.verdict(n, Outcome.CRASHED).outcome) for n in order]
    assert said == {first: ["passed", "failed", "failed"] for first in (SLOW, QUICK)}


def test_so_a_whole_report_keeps_the_order_of_the_suite(
    jar: tuple[Config, ImpactMap], tester: WarmTester, tmp_path: Path
) -> None:
    task = make_task(*jar, "jar.py", "return got")
    heard: list[TestOutcome] = []
    report = tester.test(task, LEAKS, Demand(on_outcome=heard.append))
    assert [o.node_id for o in heard] == [SLOW, QUICK, LAST]
    found = {node_id: str(outcome) for node_id, outcome in outcomes(report).items()}
    assert found == plain_outcomes(jar[0], task, LEAKS, tmp_path)


def test_a_no_comes_from_the_likeliest_to_fail(
    jar: tuple[Config, ImpactMap], tester: WarmTester
) -> None:
    task = make_task(*jar, "jar.py", "return got")
    heard: list[TestOutcome] = []
    no = tester.test(task, "return [7]", Demand(yes_or_no=True, on_outcome=heard.append))
    wanted = {SLOW: Outcome.NOT_RUN, QUICK: Outcome.FAILED, LAST: Outcome.NOT_RUN}
    assert outcomes(no) == wanted
    assert [o.node_id for o in heard] == [QUICK]
    assert (no.reason, no.passes_all) == (PARTIAL, False)
    whole = outcomes(tester.test(task, "return [7]"))  # the partial one is not remembered
    assert whole == dict.fromkeys(wanted, Outcome.FAILED)


@pytest.mark.parametrize("text", ["return got + []", LEAKS])
def test_a_yes_is_that_of_the_suites_order(
    jar: tuple[Config, ImpactMap], tester: WarmTester, text: str
) -> None:
    """The suspect passes where it runs first; behind the others it may not."""
    task = make_task(*jar, "jar.py", "return got")
    report = tester.test(task, text, Demand(yes_or_no=True))
    assert report.passes_all is (text != LEAKS)
    assert outcomes(report)[SLOW] is Outcome.PASSED


def test_a_suspect_that_ends_the_process_is_a_no(
    jar: tuple[Config, ImpactMap], tester: WarmTester
) -> None:
    task = make_task(*jar, "jar.py", "return got")
    report = tester.test(task, "import os; os.abort()", Demand(yes_or_no=True))
    assert outcomes(report)[QUICK] is Outcome.CRASHED
    assert outcomes(report)[SLOW] is Outcome.NOT_RUN


def test_what_fails_is_noted_and_kept(
    jar: tuple[Config, ImpactMap], project: Callable[..., Config]
) -> None:
    config = project(JAR)
    with WarmTester(config, jar[1]) as tester:
        task = make_task(*jar, "jar.py", "return got")
        tester.test(task, "return got if size < 3 else []")
    assert Failures(config.state / FILE).likeliest([SLOW, QUICK, LAST]) == [LAST]
