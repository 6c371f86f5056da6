"""Typed-ahead: who types what a candidate says is answered from the candidates."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from p2assist.experience import Candidate, Task
from p2assist.generation.generator import Generator
from p2assist.generation.postprocess import postprocess
from p2assist.generation.request import FREE, Context, Control

_CLOSING = frozenset(")]}\"'")
_MOST_CLOSING = 3  # characters that an editor puts behind the cursor by itself


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was asked and what came; the adapter is part of it, which may change while serving."""

    task: Task
    beams: int
    names: tuple[str, str]
    candidates: tuple[Candidate, ...]

    def rest(self, task: Task) -> list[Candidate]:
        """What is left of the candidates where the task's cursor is; [] where it is elsewhere."""
        asked = self.task
        closed = _closed_since(asked.suffix, task.suffix)
        if (
            task.kind is not asked.kind
            or closed is None
            or not task.prefix.startswith(asked.prefix)
        ):
            return []
        typed = task.prefix[len(asked.prefix) :]
        left = [_without(c, typed) for c in self.candidates if c.text.startswith(typed)]
        return postprocess(left, task) if closed else left


class TypedAhead:
    """Implements Generator over another one, whose answers it keeps: the last `answers` of each of
    the last `documents`.

    A candidate that begins with what was typed since is live: it comes back with its remaining
    text, ranked anew among those that live, and is otherwise the same (logprob and num_tokens are
    those of the whole beam, token_ids is ()). The search orders texts by their sum, so the first
    of those that live is what the model itself would put first now; there may be fewer of them
    than were asked for. Where only the end of a candidate is left, the inner generator is asked.

    Does not look at the context: an answer from before an edit of another file is still given.
    For several threads, as far as the inner generator is.
    """

    def __init__(self, inner: Generator, *, documents: int = 16, answers: int = 8) -> None:
        if documents < 1 or answers < 1:
            raise ValueError(f"documents = {documents}, answers = {answers}: at least 1 of each")
        self.inner = inner
        self._documents = documents
        self._answers = answers
        self._kept: OrderedDict[str, deque[_Answer]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        return self.inner.model

    @property
    def adapter(self) -> str:
        return self.inner.adapter

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        control.check()
        known = self.known(task, beams=beams)
        if known:
            return known
        names = (self.model, self.adapter)
        made = self.inner.generate(task, beams=beams, context=context, control=control)
        if made and not control.expired:  # what a deadline cut short is not worth keeping
            self._keep(_Answer(task, beams, names, tuple(made)))
        return made

    def score(self, task: Task, texts: Sequence[str]) -> list[Candidate]:
        return self.inner.score(task, texts)

    def origin(self, task: Task, candidate: Candidate) -> tuple[Task, Candidate]:
        """The task and the whole candidate of which this one is the rest, so that what a person
        does with it is told of one candidate however much was typed in between; the two
        themselves where it is whole, or no longer known."""
        for answer in reversed(self._answers_of(task.path)):
            if not task.prefix.startswith(answer.task.prefix):
                continue
            said = task.prefix[len(answer.task.prefix) :] + candidate.text
            for whole in answer.candidates:
                if whole.text.startswith(said) and whole.logprob == candidate.logprob:
                    return answer.task, whole
        return task, candidate

    def forget(self, path: str) -> None:
        """Drops what is kept of a document, when it is closed."""
        with self._lock:
            self._kept.pop(path, None)

    def known(self, task: Task, *, beams: int = 8) -> list[Candidate]:
        """What `generate` gives without asking anyone, so that no context need be found for it; []
        where it would ask."""
        names = (self.model, self.adapter)
        for answer in reversed(self._answers_of(task.path)):
            if answer.names == names and answer.beams >= beams:
                left = answer.rest(task)
                if any(candidate.text for candidate in left):
                    live = enumerate(left[:beams])
                    return [replace(candidate, rank=rank) for rank, candidate in live]
        return []

    def _answers_of(self, path: str) -> tuple[_Answer, ...]:
        with self._lock:
            return tuple(self._kept.get(path, ()))

    def _keep(self, answer: _Answer) -> None:
        path = answer.task.path
        with self._lock:
            self._kept.setdefault(path, deque(maxlen=self._answers)).append(answer)
            self._kept.move_to_end(path)
            while len(self._kept) > self._documents:
                self._kept.popitem(last=False)


def _closed_since(before: str, now: str) -> str | None:
    """The brackets and quotes that the editor has put behind the cursor since; None where the text
    behind it has changed in another way."""
    more = len(now) - len(before)
    if not 0 <= more <= _MOST_CLOSING or not now.endswith(before):
        return None
    return now[:more] if _CLOSING.issuperset(now[:more]) else None


def _without(candidate: Candidate, typed: str) -> Candidate:
    if not typed:
        return candidate
    return replace(candidate, text=candidate.text[len(typed) :], token_ids=())
