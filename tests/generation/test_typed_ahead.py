from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from p2assist.errors import CancelledError
from p2assist.experience import Candidate, SpanKind, Task
from p2assist.generation.generator import FakeGenerator
from p2assist.generation.request import FREE, Context, Control
from p2assist.generation.typed_ahead import TypedAhead

MakeTask = Callable[..., Task]
TEXTS = ["table.items()", "table.keys()", "total"]


@dataclass
class Counting(FakeGenerator):
    """Counts the calls; the editor's cursor has no reference, so one answer fits all."""

    texts: Sequence[str] = tuple(TEXTS)
    calls: list[str] = field(default_factory=list)

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        self.calls.append(task.prefix)
        self.answers = {"": self.texts}
        return super().generate(task, beams=beams, context=context, control=control)


@pytest.fixture
def inner() -> Counting:
    return Counting(model="m", adapter="a")


@pytest.fixture
def ahead(inner: Counting) -> TypedAhead:
    return TypedAhead(inner)


def texts(candidates: Sequence[Candidate]) -> list[str]:
    return [candidate.text for candidate in candidates]


def test_typing_what_a_candidate_says_costs_one_call(
    ahead: TypedAhead, inner: Counting, task: MakeTask
) -> None:
    assert texts(ahead.generate(task("x = |\n"))) == TEXTS
    for typed in ("t", "ta", "tab", "table", "table."):
        left = ahead.generate(task(f"x = {typed}|\n"))
        assert texts(left) == [t[len(typed) :] for t in TEXTS if t.startswith(typed)]
    assert len(inner.calls) == 1


def test_what_is_left_is_the_same_candidate_ranked_anew(ahead: TypedAhead, task: MakeTask) -> None:
    whole = ahead.generate(task("x = |\n"))
    [last] = ahead.generate(task("x = to|\n"))
    assert (last.text, last.rank, last.token_ids) == ("tal", 0, ())
    same = whole[2]
    assert (last.logprob, last.num_tokens, last.mass) == (same.logprob, same.num_tokens, same.mass)
    assert (last.model, last.adapter) == ("m", "a")


def test_what_is_left_leads_back_to_the_candidate_that_was_offered(
    ahead: TypedAhead, inner: Counting, task: MakeTask
) -> None:
    inner.texts = ("print(x)", "total")
    first = task("x = |\n")
    whole = ahead.generate(first)
    for cursor, text in (("x = pr|\n", "int(x)"), ("x = print(|)\n", "x")):
        typed = task(cursor)
        [rest] = ahead.generate(typed)
        assert rest.text == text and ahead.origin(typed, rest) == (first, whole[0])
    other = task("y = |\n")
    assert ahead.origin(other, rest) == (other, rest)


@pytest.mark.parametrize("now", ["x = y|\n", "x = total|\n", "|\n", "x = t|)\n", "x = t|\ny\n"])
def test_anything_else_asks_the_model(
    ahead: TypedAhead, inner: Counting, task: MakeTask, now: str
) -> None:
    ahead.generate(task("x = |\n"))
    ahead.generate(task(now))
    assert len(inner.calls) == (2 if now != "x = t|)\n" else 1)  # an editor's own bracket


def test_another_kind_document_adapter_or_more_beams_ask_the_model(
    ahead: TypedAhead, inner: Counting, task: MakeTask
) -> None:
    ahead.generate(task("x = |\n"), beams=2)
    ahead.generate(task("x = |\n"), beams=1)
    assert len(inner.calls) == 1
    ahead.generate(task("x = |\n"), beams=3)
    ahead.generate(task("x = |\n", SpanKind.BLOCK))
    ahead.generate(Task("b.py", "x = \n", 4, 4))
    inner.adapter = "b"
    ahead.generate(task("x = |\n"), beams=3)
    assert len(inner.calls) == 5


def test_a_bracket_that_the_editor_closes_is_not_said_again(
    ahead: TypedAhead, inner: Counting, task: MakeTask
) -> None:
    inner.texts = ("print(x)", "print(y, z)")
    ahead.generate(task("|\n"))
    assert texts(ahead.generate(task("print(|)\n"))) == ["x", "y, z"]
    assert len(inner.calls) == 1


def test_a_deleted_character_is_answered_from_what_came_before(
    ahead: TypedAhead, inner: Counting, task: MakeTask
) -> None:
    for cursor in ("x = |\n", "x = q|\n", "x = |\n"):
        assert texts(ahead.generate(task(cursor))) == TEXTS
    assert len(inner.calls) == 2


def test_what_is_kept_is_bounded(inner: Counting) -> None:
    ahead = TypedAhead(inner, documents=2, answers=3)
    for path in ("a.py", "b.py", "c.py"):
        for number in range(5):
            source = "x" * number
            ahead.generate(Task(path, source + "\n" * number, number, number))
    assert {path: len(kept) for path, kept in ahead._kept.items()} == {"b.py": 3, "c.py": 3}
    ahead.forget("b.py")
    assert list(ahead._kept) == ["c.py"]
    with pytest.raises(ValueError, match="answers = 0"):
        TypedAhead(inner, answers=0)


def test_cancellation_and_deadlines(ahead: TypedAhead, inner: Counting, task: MakeTask) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(CancelledError):
        ahead.generate(task("x = |\n"), control=Control(cancelled=cancelled))
    assert inner.calls == []
    over = Control(deadline=time.monotonic() - 1)
    ahead.generate(task("x = |\n"), control=over)
    ahead.generate(task("x = |\n"))
    assert len(inner.calls) == 2  # what a deadline cut short was not kept


def test_scores_are_the_inner_ones(ahead: TypedAhead, inner: Counting, task: MakeTask) -> None:
    made = task("x = |\n")
    assert ahead.score(made, ["a", "b"]) == inner.score(made, ["a", "b"])
