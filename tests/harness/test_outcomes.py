from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from p2assist.experience import Outcome
from p2assist.harness import worker
from p2assist.harness.outcomes import Transcript, Verdict

NONCE = "0f" * 16
PHASES = ("setup", "call", "teardown")


def heard(*messages: tuple[object, ...], nonce: str = NONCE) -> Transcript:
    """What a transcript makes of messages that really went through a worker's send()."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    transcript = Transcript(NONCE)
    with ours, theirs:
        send = worker.make_send(theirs.fileno(), nonce)
        for message in messages:
            send(*message)
            transcript.receive(ours.recv(1 << 16))
    return transcript


def phases(*outcomes: str, test: str = "t", expected: int = 0, words: str = "") -> list[tuple]:  # type: ignore[type-arg]
    return [
        ("phase", test, when, outcome, expected, 0.5, words)
        for when, outcome in zip(PHASES, outcomes, strict=False)
    ]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (("passed", "passed", "passed"), Outcome.PASSED),
        (("passed", "failed", "passed"), Outcome.FAILED),
        (("failed",), Outcome.ERROR),
        (("passed", "passed", "failed"), Outcome.ERROR),
        (("passed", "failed", "failed"), Outcome.FAILED),
        (("passed", "skipped", "passed"), Outcome.FAILED),
        (("skipped", "passed", "passed"), Outcome.FAILED),
        (("passed", "passed"), Outcome.CRASHED),
        (("passed",), Outcome.CRASHED),
        ((), Outcome.CRASHED),
    ],
)
def test_a_test_passed_only_where_all_its_phases_did(
    outcomes: tuple[str, ...], expected: Outcome
) -> None:
    verdict = heard(*phases(*outcomes)).verdict("t", Outcome.CRASHED)
    assert verdict.outcome is expected


def test_a_failure_stays_whatever_is_reported_later() -> None:
    again = heard(*phases("passed", "failed", "passed"), *phases("passed", "passed", "passed"))
    assert again.verdict("t", Outcome.CRASHED).outcome is Outcome.FAILED


def test_an_expected_failure_is_no_pass() -> None:
    for call in ("skipped", "passed"):
        verdict = heard(*phases("passed", call, "passed", expected=1)).verdict("t", Outcome.CRASHED)
        assert (verdict.outcome, verdict.skipped) == (Outcome.FAILED, True)


def test_messages_without_the_nonce_are_nothing() -> None:
    forged = heard(*phases("passed", "passed", "passed"), nonce="00" * 16)
    assert forged.verdict("t", Outcome.TIMEOUT) == Verdict(Outcome.TIMEOUT)
    garbage = Transcript(NONCE)
    for message in (b"", b"\x1f" * 9, b"\xff" * 100, NONCE.encode(), NONCE.encode() + b"\x1f?"):
        garbage.receive(message)
    assert garbage.items == {}


def test_what_was_not_collected_is_an_error() -> None:
    transcript = heard(("collect", "tests/a.py", "SyntaxError: no"), ("item", "tests/b.py::t"))
    verdict = transcript.verdict("tests/a.py::TestX::t[1]", Outcome.CRASHED)
    assert verdict == Verdict(Outcome.ERROR, 0.0, "not collected: SyntaxError: no")
    assert transcript.verdict("tests/a.pyx::t", Outcome.CRASHED).outcome is Outcome.CRASHED
    ended = heard(("item", "b"), ("end", 1, 0.1))
    assert ended.verdict("a", Outcome.CRASHED).outcome is Outcome.ERROR
    assert ended.verdict("b", Outcome.CRASHED).outcome is Outcome.CRASHED


def test_seconds_add_up_and_words_are_kept_printable() -> None:
    transcript = heard(*phases("passed", "failed", "passed", words="a\nb\x07" + "c" * 999))
    verdict = transcript.verdict("t", Outcome.CRASHED)
    assert verdict.seconds == 1.5
    assert verdict.message.startswith("a b c")
    assert len(verdict.message) == 500


def test_a_long_blob_arrives_whole() -> None:
    data = os.urandom(100_000)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    transcript = Transcript(NONCE)
    with ours, theirs:
        worker.send_blob(worker.make_send(theirs.fileno(), NONCE), "name", data)
        for _ in range(5):
            transcript.receive(ours.recv(1 << 18))
    assert bytes(transcript.blobs["name"]) == data


def test_a_forked_copy_of_the_worker_is_mute() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        send = worker.make_send(theirs.fileno(), NONCE)
        child = os.fork()
        if child == 0:
            send("end", 0)
            os._exit(0)
        os.waitpid(child, 0)
        send("end", 7)
        assert ours.recv(999).split(b"\x1f")[2] == b"7"


def test_an_exception_that_cannot_be_shown_is_named() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise ValueError

    words = worker.make_words()
    assert words(OddError()) == "OddError: (its text cannot be had)"
    assert words(KeyError("x")) == "KeyError: 'x'"
    assert words(ValueError()) == "ValueError"


def test_the_worker_needs_nothing_but_the_standard_library() -> None:
    text = Path(worker.__file__).read_text()
    assert "p2assist." not in text.replace("p2assist's", "")
    assert len(text.encode()) < 100_000  # it is handed over as one argument: 128 KiB at most
