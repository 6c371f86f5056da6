"""A Generator over a model on this machine: any causal language model that transformers loads.

transformers itself is imported only for what the lean forward does not know (see base.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from p2assist.config import GenerationConfig
from p2assist.errors import ModelError
from p2assist.experience import Candidate, SpanKind, Task
from p2assist.generation.base import BaseModel
from p2assist.generation.beam import BeamSearch
from p2assist.generation.fim import FimTemplate, template_for
from p2assist.generation.hardware import Dtype
from p2assist.generation.merge import mass, merge
from p2assist.generation.prompt import PromptEncoder
from p2assist.generation.request import FREE, Context, Control
from p2assist.generation.stop import StopRule
from p2assist.generation.vocabulary import Vocabulary

MOST_CONTEXT = 2048
"""Tokens of prompt and answer where the settings say nothing: a model that knows more would be
slow long before it is full."""

_LEAST_PROMPT = 16  # tokens


class LocalGenerator:
    """Implements Generator. encoder: the prompts and answers of this model as token ids.

    For any number of threads: they decode one after the other, those of one base model with
    different adapters too.
    """

    def __init__(
        self,
        base: BaseModel,
        vocabulary: Vocabulary,
        encoder: PromptEncoder,
        config: GenerationConfig,
        *,
        adapter: Path | None = None,
        adapter_name: str = "",
    ) -> None:
        """Raises AdapterError where the adapter cannot be loaded."""
        self.model = base.model
        self.adapter = adapter_name
        self.config = config
        self.encoder = encoder
        self._base = base
        self._vocabulary = vocabulary
        self._search = BeamSearch(base.forward(adapter), vocabulary, encoder.ends)

    @classmethod
    def load(
        cls,
        model: str,
        *,
        adapter: Path | None = None,
        adapter_name: str = "",
        config: GenerationConfig | None = None,
        dtype: Dtype = "auto",
    ) -> LocalGenerator:
        """The model 'pocket', a folder, or a name on the Hugging Face hub, with the adapter merged.

        A hub model is taken from the local cache where it is there, and downloaded otherwise.
        adapter: a folder of peft's. dtype 'auto': bfloat16 where the processor multiplies it
        natively, float32 elsewhere.

        Raises ModelError where the model cannot be loaded, AdapterError where the adapter cannot.
        """
        config = config or GenerationConfig()
        base = BaseModel.load(model, dtype=dtype)
        loaded = base.loaded
        asked = loaded.config.get("p2assist_template", "")
        template = template_for(loaded.tokenizer.get_vocab(), model, asked=asked)
        if config.context_share is not None:
            template = replace(template, context_share=config.context_share)
        special = (*template.tokens, *template.ends)
        vocabulary = Vocabulary(loaded.tokenizer, size=loaded.size, special=special)
        ends = tuple(dict.fromkeys((*vocabulary.known(template.ends), *loaded.ends)))
        size = _prompt_size(loaded.config, template, config)
        encoder = PromptEncoder(vocabulary, template, size, ends, heals=True)
        return cls(base, vocabulary, encoder, config, adapter=adapter, adapter_name=adapter_name)

    def with_adapter(self, adapter: Path | None, name: str = "") -> LocalGenerator:
        """The same base model with another adapter, or with none: what `load` would give.

        Base weights are shared. Raises AdapterError where the adapter cannot be loaded.
        """
        return LocalGenerator(
            self._base,
            self._vocabulary,
            self.encoder,
            self.config,
            adapter=adapter,
            adapter_name=name,
        )

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        """At most `beams` candidates of different texts, best first by logprob.

        logprob and num_tokens count all that the beam wrote: its stop token, and the beginning of
        the word at the cursor, which it had to write once more.
        """
        prompt, rule = self.encoder.prompt(task, context), StopRule.from_task(task)
        lead = self.encoder.lead(task)
        most = self.max_tokens(task.kind) + len(self._vocabulary.encode(lead, glued=True))
        with self._decoding():
            found = self._search.run(
                prompt, rule, beams=beams, max_tokens=most, lead=lead, control=control
            )
        return merge(found, limit=beams, model=self.model, adapter=self.adapter)

    def score(self, task: Task, texts: Sequence[str]) -> list[Candidate]:
        """The given texts as candidates of the task, in the given order.

        Each is scored as the tokenizer spells it, with the likeliest stop that its kind allows:
        what generate gives where its beam spelled the text in the same way.
        """
        spelled = [self.encoder.spellings(task, text) for text in texts]
        with self._decoding():
            sums = iter(self._search.score(self.encoder.prompt(task), sum(spelled, ())))
        return [
            self._scored(task, rank, text, ways, [next(sums) for _ in ways])
            for rank, (text, ways) in enumerate(zip(texts, spelled, strict=True))
        ]

    def max_tokens(self, kind: SpanKind) -> int:
        """Most tokens of a candidate: a line gets half of what the settings say."""
        most = self.config.max_tokens
        return max(most // 2, 1) if kind is SpanKind.LINE else most

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        with self._base.lock, _failures(self.model), _threads(self._base.threads):
            yield

    def _scored(
        self,
        task: Task,
        rank: int,
        text: str,
        ways: Sequence[tuple[int, ...]],
        sums: Sequence[float],
    ) -> Candidate:
        logprob, ids = max(zip(sums, ways, strict=True), key=lambda pair: pair[0])
        size = len((self.encoder.lead(task) + text).encode("utf-8"))
        return Candidate(
            text=text,
            logprob=logprob,
            num_tokens=len(ids),
            rank=rank,
            token_ids=ids[: self.encoder.vocabulary.holding(ids, size)],
            mass=mass(sums),
            model=self.model,
            adapter=self.adapter,
        )


def _prompt_size(model: Mapping[str, Any], template: FimTemplate, config: GenerationConfig) -> int:
    """Tokens of a prompt. model: the model's own config, where `p2assist_context`, if it is
    there, says what it was trained on."""
    positions = model.get("max_position_embeddings") or MOST_CONTEXT
    trained = model.get("p2assist_context") or template.context
    context = trained or min(positions, MOST_CONTEXT)
    size = config.max_prompt_tokens or context - config.max_tokens
    return max(min(size, positions - config.max_tokens), _LEAST_PROMPT)


@contextmanager
def _failures(model: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise ModelError(f"the model {model!r} failed: {error}") from error


@contextmanager
def _threads(most: int) -> Iterator[None]:
    """At most so many threads of torch's; 0 leaves them as they are."""
    before = torch.get_num_threads()
    if most:
        torch.set_num_threads(min(most, before))
    try:
        yield
    finally:
        if most:
            torch.set_num_threads(before)
