"""Verdicts that the next process finds, and those that it must not find."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from p2assist.config import Config
from p2assist.experience import Outcome, Task, TestOutcome, TestReport
from p2assist.harness import impact, verdicts
from p2assist.harness.bench import Job
from p2assist.harness.course import Course
from p2assist.harness.demand import Demand
from p2assist.harness.ground import Ground
from p2assist.harness.impact import ImpactMap
from p2assist.harness.suite import Suite
from p2assist.harness.tester import WarmTester
from p2assist.harness.verdicts import FILE, Verdicts
from p2assist.harness.warm import Warm
from p2assist.harness.watch import Watch
from p2assist.replay import redaction

from .helpers import bare_python, make_task, settings, write

FILES = {
    "pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n',
    "cart/__init__.py": "",
    "cart/total.py": """
        from cart.rates import RATE


        def total(prices):
            return sum(prices) * RATE
        """,
    "cart/rates.py": "RATE = 1\n",
    "tests/conftest.py": """
        import pytest


        @pytest.fixture
        def prices():
            return [1, 2]
        """,
    "tests/data.txt": "3",
    "tests/test_total.py": """
        from pathlib import Path

        from cart.total import total


        def test_total(prices):
            assert total(prices) == int(Path(__file__).with_name("data.txt").read_text())
        """,
}
TEXT = "sum(prices) + 0"
Runs = list[Job]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, ImpactMap]:
    config = settings(write(tmp_path_factory.mktemp("kept") / "repo", FILES))
    known = impact.build(config)
    known.save(config)
    return config, known


@pytest.fixture
def cart(made: tuple[Config, ImpactMap], tmp_path: Path) -> tuple[Config, ImpactMap]:
    """A copy of a test's own, with an environment that it may change."""
    root, python = tmp_path / "repo", tmp_path / "env"
    shutil.copytree(made[0].root, root)
    shutil.copytree(bare_python().parents[1], python, symlinks=True)
    user = replace(made[0].user, python=str(python / "bin/python"))
    return replace(made[0], root=root, user=user), made[1]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """The jobs that were really run."""
    seen: Runs = []
    run = Warm.run

    def noted(self: Warm, job: Job, course: Course) -> TestReport:
        seen.append(job)
        return run(self, job, course)

    monkeypatch.setattr(Warm, "run", noted)
    return seen


def verdict_of(
    cart: tuple[Config, ImpactMap], text: str = TEXT, demand: Demand | None = None
) -> TestReport:
    """By a process of its own, as far as what is kept is concerned."""
    config, known = cart
    with WarmTester(config, known, clean=redaction.report) as tester:
        settled(tester)
        return tester.test(task_of(cart), text, demand or Demand())


def settled(tester: WarmTester) -> None:
    """Waits until the environment has been looked at: until then nothing is kept."""
    assert tester._verdicts is not None
    deadline = time.monotonic() + 60
    while tester._verdicts.place("") is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def task_of(cart: tuple[Config, ImpactMap]) -> Task:
    return make_task(*cart, "cart/total.py", "sum(prices) * RATE")


def test_the_next_process_finds_it(cart: tuple[Config, ImpactMap], runs: Runs) -> None:
    heard: list[TestOutcome] = []
    first = verdict_of(cart)
    again = verdict_of(cart, TEXT, Demand(on_outcome=heard.append))
    assert len(runs) == 1
    assert again == first
    assert heard == list(again.outcomes)
    assert verdict_of(cart, "sum(prices)  +  0") == first  # it means the same
    assert len(runs) == 1
    assert verdict_of(cart, TEXT, Demand(yes_or_no=True)).passes_all
    assert len(runs) == 1
    assert not verdict_of(cart, "sum(prices) + 1").passes_all
    assert len(runs) == 2


def touched(path: str, text: str) -> Callable[[Config], None]:
    return lambda config: (config.root / path).write_text(text) and None


def installed(config: Config) -> Path:
    return next(Path(config.user.python).parents[1].glob("lib/python3*/site-packages"))


CHANGES: dict[str, Callable[[Config], None]] = {
    "a test": touched(
        "tests/test_total.py",
        "from cart.total import total\n\ndef test_total(prices):\n    assert total(prices) > 9\n",
    ),
    "a fixture": touched(
        "tests/conftest.py",
        "import pytest\n\n@pytest.fixture\ndef prices():\n    return [3, 2]\n",
    ),
    "an imported file": touched("cart/rates.py", "RATE = 2\n"),
    "a file of data": touched("tests/data.txt", "4"),
    "the settings": touched("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '-q'\n"),
    "a new file": touched("tests/helper.py", ""),
    "a package that is installed": lambda c: (installed(c) / "new.py").write_text("") and None,
    "a file within a package": lambda c: touched("iniconfig/_parse.py", "")(
        replace(c, root=installed(c))
    ),
    "the environment's Python": lambda c: os.utime(
        Path(c.user.python).parents[1] / "pyvenv.cfg", (1, 1)
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_it_stood_on_has_changed(
    cart: tuple[Config, ImpactMap], runs: Runs, what: str
) -> None:
    assert verdict_of(cart).passes_all
    CHANGES[what](cart[0])
    verdict_of(cart)
    assert len(runs) == 2


def test_other_tests_or_other_words_of_theirs_are_another_verdict(
    cart: tuple[Config, ImpactMap], runs: Runs
) -> None:
    config, known = cart
    verdict_of(cart)
    [test] = known.tests
    for other in (replace(test, digest="another"), replace(test, outcome=Outcome.FAILED)):
        changed = replace(known, tests=(other,))
        task = replace(task_of(cart), tests=(other.covering,))
        with WarmTester(config, changed, clean=redaction.report) as tester:
            settled(tester)
            tester.test(task, TEXT)
    assert len(runs) == 3


def test_a_language_or_settings_of_pytest_are_part_of_it(
    cart: tuple[Config, ImpactMap], runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, known = cart
    verdict_of(cart)
    verdict_of((replace(config, team=replace(config.team, pytest_args=("-x",))), known))
    assert len(runs) == 2
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    verdict_of(cart)
    assert len(runs) == 3


def test_what_is_as_it_was_again_is_found_again(cart: tuple[Config, ImpactMap], runs: Runs) -> None:
    file = cart[0].root / "cart/rates.py"
    verdict_of(cart)
    file.write_text("RATE = 2\n")
    verdict_of(cart)
    file.write_text("RATE = 1\n")
    verdict_of(cart)
    assert len(runs) == 2


def test_what_changes_while_it_runs_is_not_kept(
    cart: tuple[Config, ImpactMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Warm.run

    def meddling(self: Warm, job: Job, course: Course) -> TestReport:
        report = run(self, job, course)
        (cart[0].root / "cart/rates.py").write_text("RATE = 2\n")
        return report

    monkeypatch.setattr(Warm, "run", meddling)
    verdict_of(cart)
    assert kept(cart[0]) == 0


def test_a_time_out_is_not_kept(cart: tuple[Config, ImpactMap], runs: Runs) -> None:
    config, known = cart
    limits = replace(config.team.harness, timeout=0.3)
    quick = replace(config, team=replace(config.team, harness=limits))
    for _ in range(2):
        report = verdict_of((quick, known), "max(iter(int, 1))")
        assert {o.outcome for o in report.outcomes} == {Outcome.TIMEOUT}
    assert len(runs) == 2


def test_a_secret_in_a_message_is_not_written(cart: tuple[Config, ImpactMap]) -> None:
    secret = "AKIA" + "IOSFODNN7EXAMPLF"
    told = [verdict_of(cart, f"{{}}[{secret!r}]").outcomes[0] for _ in range(2)]
    assert [secret in outcome.message for outcome in told] == [True, False]
    assert [outcome.outcome for outcome in told] == [Outcome.FAILED] * 2


def test_it_can_be_switched_off(cart: tuple[Config, ImpactMap], runs: Runs) -> None:
    config, known = cart
    team = replace(config.team, harness=replace(config.team.harness, keep_verdicts=False))
    for _ in range(2):
        with WarmTester(replace(config, team=team), known, clean=redaction.report) as tester:
            tester.test(task_of(cart), TEXT)
    assert len(runs) == 2
    assert not (config.state / FILE).exists()


def rows(config: Config, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(config.state / FILE) as known:
        return known.execute(query).fetchall()


def kept(config: Config) -> int:
    if not (config.state / FILE).exists():
        return 0
    return int(str(rows(config, "SELECT count(*) FROM verdicts")[0][0]))


@pytest.fixture
def opened(cart: tuple[Config, ImpactMap]) -> Iterator[Callable[[], Verdicts]]:
    config = cart[0]
    suite = Suite.of(config)
    left: list[Verdicts] = []

    def make() -> Verdicts:
        ground = Ground(suite, (), Watch(config.root, suite.box.read))
        made = Verdicts(config.state / FILE, ground, lambda report: report)
        while made.place("") is None:
            time.sleep(0.01)
        left.append(made)
        return made

    yield make
    for one in left:
        one.close()


REPORT = TestReport((TestOutcome("test_a", Outcome.PASSED, seconds=0.5),), level="swap")


def filled(made: Verdicts, count: int, report: TestReport = REPORT) -> None:
    for number in range(count):
        place = made.place(f"run {number}")
        assert place is not None
        made.keep(place, report)
    made.close()


def found(made: Verdicts, number: int) -> TestReport | None:
    place = made.place(f"run {number}")
    assert place is not None
    report = made.find(place)
    made.close()
    return report


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"no database at all" * 500),
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        lambda file: file.write_bytes(b""),
        lambda file: sqlite3.connect(file).execute("PRAGMA user_version = 99") and None,
        lambda file: sqlite3.connect(file).execute("DROP TABLE verdicts") and None,
    ],
)
def test_a_damaged_file_is_begun_anew(
    opened: Callable[[], Verdicts], cart: tuple[Config, ImpactMap], damage: Callable[[Path], None]
) -> None:
    filled(opened(), 3)
    assert found(opened(), 1) == REPORT
    damage(cart[0].state / FILE)
    assert found(opened(), 1) is None
    filled(opened(), 3)
    assert found(opened(), 1) == REPORT


def test_a_damaged_report_is_none(
    opened: Callable[[], Verdicts], cart: tuple[Config, ImpactMap]
) -> None:
    filled(opened(), 1)
    with sqlite3.connect(cart[0].state / FILE) as known:
        known.execute("UPDATE verdicts SET report = ?", (b"nothing",))
    assert found(opened(), 0) is None


def test_it_stays_small(
    opened: Callable[[], Verdicts],
    cart: tuple[Config, ImpactMap],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verdicts, "MOST", 200)
    filled(opened(), 1000)
    assert 100 <= kept(cart[0]) <= 200
    assert found(opened(), 999) == REPORT
    assert found(opened(), 0) is None
    monkeypatch.setattr(verdicts, "MOST_BYTES", 1 << 18)
    noise = "".join(chr(33 + byte % 90) for byte in os.urandom(4000))
    long = TestReport((TestOutcome("test_a", Outcome.FAILED, message=noise),))
    filled(opened(), 2000, long)
    assert (cart[0].state / FILE).stat().st_size < 1 << 20


def test_an_old_one_is_not_found(
    opened: Callable[[], Verdicts], cart: tuple[Config, ImpactMap]
) -> None:
    """There are tests that know the date."""
    filled(opened(), 1)
    with sqlite3.connect(cart[0].state / FILE) as known:
        known.execute("UPDATE verdicts SET made = made - ?", (8 * 24 * 3600,))
    assert found(opened(), 0) is None


def test_a_folder_that_cannot_be_written_keeps_nothing(
    opened: Callable[[], Verdicts], cart: tuple[Config, ImpactMap]
) -> None:
    shutil.rmtree(cart[0].state)
    cart[0].state.write_text("a file")
    filled(opened(), 3)
    assert found(opened(), 1) is None
    cart[0].state.unlink()
