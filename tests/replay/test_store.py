"""The face of the store: what goes in comes out, once, in order, and only `forget` removes."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from p2assist.errors import StoreError
from p2assist.experience import (
    Candidate,
    CoveringTest,
    Experience,
    Feedback,
    FeedbackKind,
    Outcome,
    Source,
    SpanKind,
    Task,
    TestOutcome,
    TestReport,
)
from p2assist.replay.serial import from_json
from p2assist.replay.store import Store

AT = datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=UTC)
ODD = "läuft \x00 \ud800 \U0001f600\n\tend"


def _rich() -> Experience:
    source = f"# {ODD}\ndef f():\n    return 1\n"
    outcomes = tuple(
        TestOutcome(f"t.py::test_{o.name}", o, b, f"d{o.name}", 0.25, f"why {o}")
        for o in Outcome
        for b in (Outcome.PASSED, Outcome.FAILED)
    )
    return Experience(
        task=Task(
            path="pkg/größe.py",
            source=source,
            start=source.index("return"),
            end=source.index("return") + 8,
            kind=SpanKind.BODY,
            function="f",
            description="what it is for",
            commit="abc",
            tests=(CoveringTest("t.py::a", "1"), CoveringTest("t.py::b")),
        ),
        candidate=Candidate(ODD, -1.2345678901234567, 7, 3, (1, 2**31 - 1), -1.2, "m", "a"),
        report=TestReport(outcomes, "subprocess", "namespaces", 1.5, "the budget ended"),
        feedback=(Feedback(FeedbackKind.PARTIALLY_ACCEPTED, ODD, AT),),
        source=Source.TEACHER,
        created=AT,
    )


def test_every_field_comes_back(store: Store) -> None:
    bare = Experience(Task("a.py", "", 0, 0), Candidate("x", 0.0, 0), created=AT)
    assert store.add([_rich(), bare]) == 2
    assert list(store.experiences()) == [_rich(), bare]


def test_it_is_there_after_opening_again(url: str, make) -> None:
    with Store.open(url) as first:
        first.add([make.experience()])
    with Store.open(url) as second:
        assert list(second.experiences()) == [make.experience()]


def test_adding_twice_stores_once(store: Store, make) -> None:
    one = make.experience(report=make.report("P"))
    assert store.add([one, one]) == 1
    assert store.add([one]) == 0
    assert store.stats().candidates == 1


def test_a_later_report_counts_and_the_first_stays(store: Store, file: Path, make) -> None:
    for said in (None, make.report("F"), make.report("P", "P")):
        store.add([make.experience(report=said)])
    assert store.get(make.experience().key).report == make.report("P", "P")
    with sqlite3.connect(file) as raw:
        assert raw.execute("SELECT passed, total FROM reports ORDER BY id").fetchall() == [
            (0, 1),
            (2, 2),
        ]
    raw.close()


def test_an_addition_is_whole_or_nothing(store: Store, make) -> None:
    good = make.experience()
    with pytest.raises(StoreError, match="must be finite"):
        store.add([good, make.experience("return 1", logprob=float("-inf"))])
    with pytest.raises(StoreError, match="without a zone"):
        store.add([good, replace(good, created=datetime(2026, 1, 1))])
    assert store.stats().candidates == 0


def test_a_report_learns_its_digests_from_the_task(store: Store, make) -> None:
    tests = (CoveringTest("t.py::test_0", "from the task"),)
    blind = make.experience(at=make.task(tests=tests), report=make.report("P", digest=""))
    store.add([blind])
    [found] = store.experiences()
    assert found.report is not None
    assert found.report.outcomes[0].digest == "from the task"


def test_practised_is_noted_with_the_experiences_or_without(store: Store, make) -> None:
    task = make.task()
    store.add([make.experience(at=task)], practised=(task.key, "m", ""))
    store.add([], practised=("other", "m", "tuned"))
    store.mark_practised("third", "m", "")
    store.mark_practised("third", "m", "")
    assert store.practised("m", "") == {task.key, "third"}
    assert store.practised("m", "tuned") == {"other"}
    assert store.practised("n", "") == set()


def test_nothing_is_noted_where_the_addition_fails(store: Store, make) -> None:
    with pytest.raises(StoreError):
        store.add([make.experience(logprob=float("nan"))], practised=("t", "m", ""))
    assert store.practised("m", "") == set()


def test_events_and_feedback(store: Store, make) -> None:
    one = make.experience()
    store.add([one])
    store.append_event(one.key, "shown", {"editor": "vim"}, AT, person="ann")
    store.append_event(one.key, "shown", {"editor": "vim"}, AT, person="ann")  # the same again
    store.feedback(one.key[:12], Feedback(FeedbackKind.REJECTED, "return 2", AT))
    shown, rejected = store.events(one.key)
    assert (shown.kind, shown.at, shown.data, shown.person) == (
        "shown",
        AT,
        {"editor": "vim"},
        "ann",
    )
    assert rejected.kind == "rejected"
    assert store.get(one.key).feedback == (Feedback(FeedbackKind.REJECTED, "return 2", AT),)
    with pytest.raises(StoreError, match="no experience has the key"):
        store.append_event("0" * 32, "shown")


def test_get_by_the_beginning_of_a_key(store: Store, make) -> None:
    many = [make.experience(f"return {i}") for i in range(40)]
    store.add(many)
    assert store.get(many[3].key[:16]) == many[3]
    shared = next(c for c in "0123456789abcdef" if sum(e.key[0] == c for e in many) > 1)
    with pytest.raises(StoreError, match="begins several keys"):
        store.get(shared)
    for bad in ("", "xyz", "%", "A" * 8, "0" * 33):
        with pytest.raises(StoreError, match="is no key"):
            store.get(bad)


def test_filters_and_order(store: Store, make) -> None:
    other = make.task(1, path="shop/other.py")
    one = make.experience("a", report=make.report("P"))
    two = make.experience("b", at=other, source=Source.KEPT)
    three = make.experience("c", adapter="tuned", report=make.report("N"))
    store.add([one, two, three])

    def texts(**filters: object) -> str:
        return "".join(e.candidate.text for e in store.experiences(**filters))

    assert texts() == "abc"
    assert texts(path="shop/other.py") == "b"
    assert texts(source=Source.KEPT) == "b"
    assert texts(tested=True) == "a"
    assert texts(tested=False) == "bc"  # a test that was not run says nothing
    assert texts(model="m", adapter="") == "ab"
    assert texts(limit=2) == "bc"
    assert texts(limit=1, offset=1) == "b"
    assert texts(offset=2) == "a"
    assert "".join(e.candidate.text for e in store.newest(1)) == "c"


def test_fetch_in_order_with_repeats(store: Store, make) -> None:
    many = [make.experience(f"return {i}") for i in range(3)]
    store.add(many)
    first, _, third = store.columns().id.tolist()
    assert store.fetch([third, first, third]) == [many[2], many[0], many[2]]
    with pytest.raises(StoreError, match="not in the store any more"):
        store.fetch([first, 999])


def test_more_than_a_batch_and_a_page(store: Store, make) -> None:
    many = [make.experience(f"return {i}", at=make.task(i % 7)) for i in range(1203)]
    assert store.add(many) == 1203
    assert [e.candidate.text for e in store.experiences()] == [e.candidate.text for e in many]
    assert store.stats().tasks == 7


def test_export_is_read_back(store: Store, make) -> None:
    store.add([_rich(), make.experience()])
    stream = io.StringIO()
    assert store.export(stream) == 2
    lines = stream.getvalue().splitlines()
    assert [from_json(json.loads(line)) for line in lines] == list(store.experiences())
    assert store.export(io.StringIO(), source=Source.TEACHER) == 1


@pytest.mark.parametrize(
    "statement",
    ["UPDATE candidates SET logprob = 0", "DELETE FROM reports", "DELETE FROM candidates"],
)
def test_rows_are_never_changed(store: Store, file: Path, make, statement: str) -> None:
    store.add([make.experience(report=make.report("P"))])
    raw = sqlite3.connect(file)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    raw.close()


def test_forget_a_path(store: Store, file: Path, make) -> None:
    other = make.experience("kept", at=make.task(1, path="b.py"), report=make.report("P"))
    gone = make.experience("a very peculiar text", report=make.report("P", "F"))
    store.add([gone, other], practised=(gone.task.key, "m", ""))
    store.append_event(gone.key, "shown", {"where": "an uncommon place"}, person="ann")
    assert store.forget(path="shop/cart.py").keys == (gone.key,)
    assert list(store.experiences()) == [other]
    assert store.practised("m", "") == set()
    on_disk = b"".join(part.read_bytes() for part in file.parent.iterdir())
    for text in (b"peculiar", b"uncommon", b"ann", b"shop/cart.py"):
        assert text not in on_disk
    with sqlite3.connect(file) as raw:
        assert raw.execute("SELECT count(*) FROM forgetting").fetchone() == (0,)
        blobs = raw.execute("SELECT count(*) FROM blobs").fetchone()
    raw.close()
    assert blobs == (3,)  # the other's source, its task's tests, its report's tests


def test_forget_a_person(store: Store, make) -> None:
    offered = make.experience("offered")
    written = make.experience("written", source=Source.KEPT)
    store.add([offered])
    store.add([written], person="ann")
    store.feedback(offered.key, Feedback(FeedbackKind.REJECTED, "written"), person="ann")
    store.append_event(offered.key, "shown", person="bob")
    gone = store.forget(person="ann")
    assert (gone.keys, gone.events) == ((written.key,), 1)
    assert [e.kind for e in store.events(offered.key)] == ["shown"]
    assert list(store.experiences()) == [offered]
    assert store.forget(person="nobody").keys == ()


def test_forget_wants_one_thing(store: Store) -> None:
    with pytest.raises(ValueError, match="one of them"):
        store.forget()


def test_ids_are_not_given_again(store: Store, make) -> None:
    store.add([make.experience()])
    [before] = store.columns().id.tolist()
    store.forget(path="shop/cart.py")
    store.add([make.experience("return 1")])
    assert store.columns().id.tolist() == [before + 1]


def test_secrets_do_not_reach_the_disk(store: Store, file: Path, make) -> None:
    token = "ghp_" + "a1B2" * 9
    source = f'TOKEN = "{token}"\n\ndef f():\n    return 1\n'
    at = make.task(source=source, start=source.index("return"), end=len(source) - 1)
    said = TestReport((TestOutcome("t::a", Outcome.FAILED, message=f"E got {token}"),))
    one = replace(
        make.experience(f'return "{token}"', at=at, report=said),
        feedback=(Feedback(FeedbackKind.REJECTED, f"use({token!r})", AT),),
    )
    store.add([one])
    store.add([one])
    store.append_event(one.key, "landed", {"diff": [token]})  # found by the key from before
    [found] = store.experiences()
    assert found.task.reference == "return 1"
    assert found.candidate.token_ids == ()
    everything = repr(found) + repr(store.events(one.key))
    assert token not in everything
    assert "TOKEN" in everything
    assert token.encode() not in b"".join(p.read_bytes() for p in file.parent.iterdir())
    assert store.get(found.key) == store.get(one.key) == found
    assert store.add([found]) == 0  # an export comes home to its own row


def test_feedback_on_redacted_experience(store: Store, make) -> None:
    source = 'password = ""\n'
    at = make.task(source=source, start=12, end=12, function="")
    one = make.experience("hunter22", at=at)
    store.add([one])
    store.feedback(one.key, Feedback(FeedbackKind.REJECTED, "swordfish", AT))
    [found] = store.experiences()
    assert found.candidate.text == "x" * 8
    assert found.feedback[0].kept == "x" * 9


def test_stats(store: Store, make) -> None:
    assert store.stats().candidates == 0
    assert store.stats().first is None
    store.add(
        [
            make.experience("a", report=make.report("P", "P"), minutes=0),
            make.experience("a", report=make.report("P", "F"), adapter="tuned", minutes=1),
            make.experience("b", report=make.report("P", "N"), minutes=2),
            make.experience("c", source=Source.REFERENCE, minutes=3),
        ],
        practised=("t", "m", ""),
    )
    store.add([make.experience("b", report=make.report("F"))])  # the newest report counts
    store.feedback(make.experience("a").key, Feedback(FeedbackKind.ACCEPTED))
    store.append_event(make.experience("a").key, "shown")
    found = store.stats()
    assert (found.tasks, found.practised, found.candidates, found.distinct) == (1, 1, 4, 3)
    assert (found.tested, found.passing_all, found.untested) == (3, 1, 1)
    assert found.by_source == {"self": 3, "reference": 1}
    assert found.by_feedback == {"accepted": 1}
    assert found.bytes > 4096
    assert found.first is not None
    assert found.last == found.first + timedelta(minutes=3)


def test_importing_is_free() -> None:
    heavy = "{'torch', 'transformers', 'alembic', 'detect_secrets', 'requests'}"
    code = f"import sys, p2assist.replay.buffer; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_while_another_writes(store: Store, url: str, make) -> None:
    store.add([make.experience(f"return {i}") for i in range(300)])
    reading = store.experiences()
    next(reading)
    with Store.open(url) as other:
        other.add([make.experience("new")])
    assert sum(1 for _ in reading) == 299
    assert store.stats().candidates == 301
