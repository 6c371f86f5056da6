"""Completions by a server: prompts as text, candidates from the log-probabilities it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from p2assist.config import GenerationConfig, RemoteConfig
from p2assist.errors import ModelError
from p2assist.experience import Candidate, SpanKind, Task
from p2assist.generation.fim import family
from p2assist.generation.merge import merge
from p2assist.generation.prompt import PromptEncoder
from p2assist.generation.remote.answers import Answer, beam
from p2assist.generation.remote.client import Client
from p2assist.generation.remote.spelling import encoder, prompt
from p2assist.generation.request import FREE, Context, Control
from p2assist.generation.stop import StopRule

# Beyond OpenAI's own fields. llama-cpp-python's server holds repetitions against a token unless it
# is told not to (1.1).
_LLAMA: dict[str, Any] = {"repeat_penalty": 1.0}
_VLLM: dict[str, Any] = {"use_beam_search": True, "length_penalty": 0.0}
_DEDENTS = ["\ndef ", "\nclass ", "\n@", "\nif "]  # what ends an indented block; four at most
_LEAST_PROMPT = 16  # tokens
_SAME = 0.05  # nats: two log-probabilities of one token that differ by more are of two tokens


class RemoteGenerator:
    """Implements Generator over a server.

    search 'beam' is vLLM's own beam search, its sums not divided by a length, as ours. Any other
    server has none: 'branches' asks for the likeliest first tokens and then goes on greedily from
    each, all at once. So there is one candidate a first token, with the sum that the model gives
    it; texts that differ further on than that are not met. adapter: of vLLM's LoRA modules, which
    it serves as models of that name; '' for the base model.

    A deadline returns the branches that are done; a beam search has nothing before its end.
    For several threads at once.
    """

    def __init__(
        self,
        config: RemoteConfig,
        *,
        adapter: str = "",
        generation: GenerationConfig | None = None,
    ) -> None:
        self.config = config
        self.adapter = adapter
        self.generation = generation or GenerationConfig()
        self.template = family(config.family)
        if self.generation.context_share is not None:
            share = self.generation.context_share
            self.template = replace(self.template, context_share=share)
        self._client = Client(config)
        self._echoes: bool | None = None

    @property
    def model(self) -> str:
        return self.config.model

    @property
    def encoder(self) -> PromptEncoder:
        """The prompts of this model; their tokens are about the server's, not its own."""
        settings = self.generation
        size = settings.max_prompt_tokens or self.config.context - settings.max_tokens
        return encoder(self.template, max(size, _LEAST_PROMPT))

    def close(self) -> None:
        self._client.close()

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        """At most `beams` candidates of different texts, best first by logprob.

        token_ids is (): they are the server's. What logprob counts is said in answers.beam.
        """
        control.check()
        rule = StopRule.from_task(task)
        text, lead = self._prompt(task, context)
        request = {
            "model": self.adapter or self.config.model,
            "prompt": text,
            "max_tokens": self._max_tokens(task.kind),
            "temperature": 0,
            "logprobs": 1,
            **_stops(rule),
        }
        if self.config.search == "beam":
            answers = self._beam_search(request, beams, control)
        else:
            answers = self._branches(request, beams, rule, lead, control)
        made = [found for answer in answers if (found := beam(answer, rule, lead))]
        finished = [found for found in made if found.finished]
        return merge(finished or made, limit=beams, model=self.model, adapter=self.adapter)

    def score(self, task: Task, texts: Sequence[str]) -> list[Candidate]:
        """The given texts with the log-probability that the server tells of a prompt's tokens.

        As the server spells them, with their stop: the newline of a line, else the family's end.
        Raises ModelError where the server does not tell it, or tells it of other tokens:
        llama-cpp-python's does so (0.3.36), which is found out by asking it for one it has just
        generated.
        """
        text, lead = self._prompt(task, ())
        if self._echoes is None:
            self._echoes = self._echo_is_sound(text)
        if not self._echoes:
            raise ModelError(
                f"{self.config.url} does not tell the log-probabilities of given text as the model "
                "has them: score with a model on this machine, or with vLLM's server"
            )
        stop = "\n" if task.kind is SpanKind.LINE or not self.template.ends else ""
        stop = stop or self.template.ends[0]
        wholes = [text + lead + each + stop for each in texts]
        scored = []
        for rank, (whole, each) in enumerate(zip(wholes, texts, strict=True)):
            sums = self._echoed(whole, len(text))
            logprob = sum(sums)
            scored.append(
                Candidate(
                    text=each,
                    logprob=logprob,
                    num_tokens=len(sums),
                    rank=rank,
                    mass=logprob,
                    model=self.model,
                    adapter=self.adapter,
                )
            )
        return scored

    def _prompt(self, task: Task, context: Context) -> tuple[str, str]:
        """The prompt, and what an answer to it has to begin with."""
        made = self.encoder
        return prompt(made, task, context), made.lead(task)

    def _max_tokens(self, kind: SpanKind) -> int:
        most = self.generation.max_tokens
        return max(most // 2, 1) if kind is SpanKind.LINE else most

    def _beam_search(self, request: dict[str, Any], beams: int, control: Control) -> list[Answer]:
        [choices] = self._client.complete([request | _VLLM | {"n": beams}], control)
        return [Answer.from_choice(choice) for choice in choices]

    def _branches(
        self, request: dict[str, Any], beams: int, rule: StopRule, lead: str, control: Control
    ) -> list[Answer]:
        request = request | _LLAMA
        first = request | {"max_tokens": 1, "logprobs": min(2 * beams, self.config.top)}
        [choices] = self._client.complete([first], control)
        if not choices:
            return []
        told = Answer.from_choice(choices[0])
        top = sorted(told.top.items(), key=lambda pair: -pair[1])
        top = [(token, value) for token, value in top if token and token.startswith(lead)][:beams]
        ended = [(token, value) for token, value in top if _ends(token, rule, lead)]
        going = [pair for pair in top if pair not in ended]
        most = request["max_tokens"] - 1
        requests = [
            request | {"prompt": request["prompt"] + t, "max_tokens": most} for t, _ in going
        ]
        found = self._client.complete(requests, control) if most and requests else []
        answers = [Answer("", (), (), False, {}).behind(token, value) for token, value in ended]
        for (token, value), choices in zip(going, found, strict=False):
            answers += [Answer.from_choice(choice).behind(token, value) for choice in choices]
        return answers

    def _echo_is_sound(self, text: str) -> bool:
        """Whether the server tells the same of a token given as of that token generated."""
        request = {"model": self.adapter or self.model, "temperature": 0, "logprobs": 1}
        [choices] = self._client.complete([request | {"prompt": text, "max_tokens": 1}], FREE)
        made = Answer.from_choice(choices[0])
        if not made.tokens or not made.tokens[0]:
            return False
        told = self._echoed(text + made.tokens[0], len(text))
        return len(told) == 1 and abs(told[0] - made.logprobs[0]) < _SAME

    def _echoed(self, whole: str, start: int) -> list[float]:
        """What the server tells of each token of a prompt that does not end before start."""
        request = {
            "model": self.adapter or self.model,
            "prompt": whole,
            "max_tokens": 1,  # llama-cpp-python takes 0 for no limit
            "temperature": 0,
            "logprobs": 1,
            "echo": True,
        }
        [choices] = self._client.complete([request], FREE)
        told = Answer.from_choice(choices[0])
        sums: list[float] = []
        at = 0
        for token, logprob in zip(told.tokens, told.logprobs, strict=True):
            if at >= len(whole):
                break
            at += len(token)
            if at > start:
                sums.append(logprob)
        return sums


def _stops(rule: StopRule) -> dict[str, Any]:
    if rule.kind is SpanKind.LINE:
        stops = ["\n"]
    elif rule.minimum > 0:
        stops = _DEDENTS
    else:
        return {}
    return {"stop": stops}


def _ends(token: str, rule: StopRule, lead: str) -> bool:
    return rule.end(token.removeprefix(lead)) is not None
