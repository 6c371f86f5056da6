"""The Generator Protocol, and the fake that needs no weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from p2assist.experience import Candidate, Task
from p2assist.generation.request import FREE, Context, Control


class Generator(Protocol):
    """Anything that completes tasks by beam search.

    model: the base model's name. adapter: the LoRA adapter's name, '' for the base model.
    """

    @property
    def model(self) -> str: ...

    @property
    def adapter(self) -> str: ...

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        """At most `beams` candidates of different texts, best first by logprob.

        Of the task only prefix, suffix, kind and path may be looked at: the reference must never
        reach the prompt. context: what the prompt may hold besides, as far as it fits.
        Raises ModelError where the model fails, CancelledError as control says.
        """
        ...

    def score(self, task: Task, texts: Sequence[str]) -> list[Candidate]:
        """The given texts as candidates of the task, in the given order, with the logprob and
        token count that the model gives each, its stop token included."""
        ...


@dataclass(slots=True)
class FakeGenerator:
    """A Generator of scripted answers for tests.

    answers: task.reference -> texts, best first. Without an entry it offers the reference and
    two wrong texts, so that a loop over it meets both outcomes.
    """

    answers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    model: str = "fake"
    adapter: str = ""

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        control.check()
        texts = self.answers.get(task.reference, ("pass", task.reference, "return None"))
        return self._candidates(dict.fromkeys(texts))[:beams]

    def score(self, task: Task, texts: Sequence[str]) -> list[Candidate]:
        return self._candidates(texts)

    def _candidates(self, texts: object) -> list[Candidate]:
        made = []
        for rank, text in enumerate(texts):  # type: ignore[arg-type, var-annotated]
            count = len(text.split()) + 1
            logprob = count * math.log(0.9 / (rank + 1))
            made.append(
                Candidate(
                    text=text,
                    logprob=logprob,
                    num_tokens=count,
                    rank=rank,
                    mass=logprob,
                    model=self.model,
                    adapter=self.adapter,
                )
            )
        return made
