"""A Generator over a model on this machine: any causal language model that transformers loads.

Only safetensors are loaded, and no code that comes with a model is ever run.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from p2assist.config import GenerationConfig
from p2assist.errors import AdapterError, ModelError
from p2assist.experience import Candidate, SpanKind, Task
from p2assist.generation import adapter as adapters
from p2assist.generation.beam import BeamSearch
from p2assist.generation.fim import FimTemplate, template_for
from p2assist.generation.location import locate
from p2assist.generation.merge import mass, merge
from p2assist.generation.prompt import PromptEncoder
from p2assist.generation.request import FREE, Context, Control
from p2assist.generation.stop import StopRule
from p2assist.generation.vocabulary import Vocabulary

MOST_CONTEXT = 2048
"""Tokens of prompt and answer where the settings say nothing: a model that knows more would be
slow long before it is full."""

Dtype = Literal["auto", "float32", "bfloat16"]
_SMALL = 30_000_000
"""Parameters below which a decoding step is too short to share: with two threads on two busy cores
(tests run beside it) each waits for the other, and a task took 4 s instead of 0.2."""
_LEAST_PROMPT = 16  # tokens
# What transformers raises on files that are missing, damaged or of an unknown kind.
_UNUSABLE = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)


class LocalGenerator:
    """Implements Generator. encoder: the prompts and answers of this model as token ids.

    Not for several threads at once.
    """

    def __init__(
        self,
        network: Any,
        vocabulary: Vocabulary,
        template: FimTemplate,
        *,
        model: str,
        adapter: str = "",
        config: GenerationConfig | None = None,
    ) -> None:
        self.model = model
        self.adapter = adapter
        self.config = config or GenerationConfig()
        if self.config.context_share is not None:
            template = replace(template, context_share=self.config.context_share)
        ends = _ends(network, vocabulary, template)
        size = _prompt_size(network.config, template, self.config)
        self.encoder = PromptEncoder(vocabulary, template, size, ends)
        self._search = BeamSearch(network, vocabulary, ends)
        self._most_threads = 1 if _is_small(network) else 0

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
        natively and the model is large enough to gain by it, float32 elsewhere.

        Raises ModelError where the model cannot be loaded, AdapterError where the adapter cannot.
        """
        place = locate(model)
        with quiet():
            tokenizer = _pretrained(AutoTokenizer, model, place)
            backend = getattr(tokenizer, "backend_tokenizer", None)
            if backend is None:
                raise ModelError(f"the model {model!r} has no tokenizer.json: choose another model")
            network = _pretrained(
                AutoModelForCausalLM, model, place, dtype=torch.float32, use_safetensors=True
            )
            if adapter is not None:
                network = _merged(network, adapter, model=model, place=place)
        network = network.to(device=_device(), dtype=_dtype(dtype, network)).eval()
        asked = getattr(network.config, "p2assist_template", "")
        template = template_for(backend.get_vocab(), model, asked=asked)
        rows = network.get_output_embeddings().weight.shape[0]
        vocabulary = Vocabulary(backend, size=rows, special=(*template.tokens, *template.ends))
        return cls(network, vocabulary, template, model=model, adapter=adapter_name, config=config)

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        """At most `beams` candidates of different texts, best first by logprob.

        logprob and num_tokens count all that the beam wrote, its stop token included.
        """
        prompt, rule = self.encoder.prompt(task, context), StopRule.from_task(task)
        most, lead = self.max_tokens(task.kind), self.encoder.lead(task)
        with _failures(self.model), _threads(self._most_threads):
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
        with _failures(self.model), _threads(self._most_threads):
            sums = iter(self._search.score(self.encoder.prompt(task), sum(spelled, ())))
        return [
            self._scored(task, rank, text, ways, [next(sums) for _ in ways])
            for rank, (text, ways) in enumerate(zip(texts, spelled, strict=True))
        ]

    def max_tokens(self, kind: SpanKind) -> int:
        """Most tokens of a candidate: a line gets half of what the settings say."""
        most = self.config.max_tokens
        return max(most // 2, 1) if kind is SpanKind.LINE else most

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


def _pretrained(kind: Any, model: str, place: str, **options: Any) -> Any:
    """Loads from the disk where it is there, else (only what is no folder) from the hub."""
    options["trust_remote_code"] = False
    try:
        return kind.from_pretrained(place, local_files_only=True, **options)
    except _UNUSABLE as error:
        if Path(place).is_dir():
            raise _unusable(model, error) from error
    try:
        return kind.from_pretrained(place, **options)
    except _UNUSABLE as error:
        raise _unusable(model, error) from error


def _unusable(model: str, error: Exception) -> ModelError:
    first = str(error).strip().split("\n")[0][:300]
    return ModelError(
        f"the model {model!r} cannot be loaded: {first}. Check the name; a model of the hub must "
        f"be fetched once (hf download {model}), in safetensors, and needs no code of its own"
    )


def _merged(network: Any, folder: Path, *, model: str, place: str) -> Any:
    """The network with the adapter added to its weights, so that it costs nothing to run."""
    from peft import PeftModel

    shapes = {
        name: tuple(module.weight.shape)
        for name, module in network.named_modules()
        if getattr(module, "weight", None) is not None
    }
    adapters.check(folder, model=model, path=place, shapes=shapes)
    try:
        with warnings.catch_warnings():
            # peft 0.21 reads a name that transformers 5.23 is about to drop.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            adapted = PeftModel.from_pretrained(network, str(folder), local_files_only=True)
            return adapted.merge_and_unload()
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        first = str(error).strip().split("\n")[0][:300]
        raise AdapterError(f"the adapter in {folder} cannot be loaded: {first}") from error


def _ends(network: Any, vocabulary: Vocabulary, template: FimTemplate) -> tuple[int, ...]:
    """The template's end tokens and the model's own, each once, the template's first."""
    own: set[int] = set()
    for config in (network.config, network.generation_config):
        ids = getattr(config, "eos_token_id", None)
        own.update(ids if isinstance(ids, list | tuple) else [] if ids is None else [ids])
    return tuple(dict.fromkeys((*vocabulary.known(template.ends), *sorted(own))))


def _prompt_size(model: Any, template: FimTemplate, config: GenerationConfig) -> int:
    """Tokens of a prompt. model: the model's own config, where `p2assist_context`, if it is
    there, says what it was trained on."""
    positions = getattr(model, "max_position_embeddings", 0) or MOST_CONTEXT
    trained = getattr(model, "p2assist_context", 0) or template.context
    context = trained or min(positions, MOST_CONTEXT)
    size = config.max_prompt_tokens or context - config.max_tokens
    return max(min(size, positions - config.max_tokens), _LEAST_PROMPT)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _is_small(network: Any) -> bool:
    return bool(sum(weight.numel() for weight in network.parameters()) < _SMALL)


def _dtype(wanted: Dtype, network: Any) -> torch.dtype:
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if _is_small(network):  # torch's bfloat16 attention of one query eats up what its products win
        return torch.float32
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.bfloat16 if native and native() else torch.float32


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


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no advice of transformers on the user's terminal."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
