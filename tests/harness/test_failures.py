from __future__ import annotations

import json
from pathlib import Path

import pytest

from p2assist.experience import Outcome, TestOutcome, TestReport
from p2assist.harness import failures
from p2assist.harness.failures import Failures

TESTS = ("often", "seldom", "slow", "never")


def report(*, seconds: float = 0.01, **outcomes: Outcome) -> TestReport:
    found = (TestOutcome(n, o, seconds=seconds) for n, o in outcomes.items())
    return TestReport(tuple(found))


def taught(file: Path) -> Failures:
    made = Failures(file)
    for number in range(10):
        seldom = Outcome.FAILED if number == 0 else Outcome.PASSED
        made.note(report(often=Outcome.ERROR, seldom=seldom, never=Outcome.PASSED))
        made.note(report(slow=Outcome.FAILED, seconds=2.0))
    return made


def test_what_fails_often_and_fast_is_likeliest(tmp_path: Path) -> None:
    made = taught(tmp_path / "failures.json")
    assert made.likeliest(TESTS) == ["often", "seldom", "slow"]
    assert made.likeliest(["slow", "unknown"]) == ["slow"]


def test_the_next_process_finds_it(tmp_path: Path) -> None:
    made = taught(tmp_path / "state" / "failures.json")
    made.save()
    again = Failures(tmp_path / "state" / "failures.json")
    assert again.likeliest(TESTS) == made.likeliest(TESTS)
    for _ in range(30):
        again.note(report(often=Outcome.PASSED, seldom=Outcome.FAILED))
    assert again.likeliest(TESTS)[0] == "seldom"


def test_a_time_out_a_crash_and_what_failed_before_say_nothing_of_a_test(tmp_path: Path) -> None:
    made = Failures(tmp_path / "failures.json")
    made.note(report(often=Outcome.TIMEOUT, seldom=Outcome.CRASHED, slow=Outcome.NOT_RUN))
    silent = TestOutcome("never", Outcome.FAILED, baseline=Outcome.FAILED)
    made.note(TestReport((silent,)))
    assert made.likeliest(TESTS) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe not JSON",
        b"[1, 2]",
        b'{"often": 3}',
        b'{"often": [1, "x", 3]}',
        b'{"often": [1, 2, 0.1]}',
        b'{"often": [0, 0, 0]}',
        b'{"often": [NaN, 1, 0.1]}',
        b'{"often": [1, 1, 0.1, 9]}',
        b'{"often": [2, 1, 0.1]}' + b" " * (5 << 20),
    ],
)
def test_a_damaged_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "failures.json"
    file.write_bytes(content)
    assert Failures(file).likeliest(TESTS) == []
    made = taught(file)
    made.save()
    assert Failures(file).likeliest(TESTS) == ["often", "seldom", "slow"]


def test_it_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MOST", 50)
    file = tmp_path / "failures.json"
    made = Failures(file)
    made.note(report(**{f"t{number}": Outcome.FAILED for number in range(300)}))
    made.save()
    assert sorted(json.loads(file.read_bytes())) == sorted(f"t{n}" for n in range(250, 300))


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    made = taught(tmp_path / "state" / "failures.json")
    made.save()
    assert made.likeliest(TESTS)
