"""A tokenizer of the embedded model's kind, and a tiny model with random weights."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from p2assist.experience import SpanKind, Task
from p2assist.generation.vocabulary import Vocabulary

if TYPE_CHECKING:
    from p2assist.generation.local import LocalGenerator

SPECIAL = ("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_sep|>")
SPLIT = (
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"  # Qwen's
)


def learn(special: tuple[str, ...] = SPECIAL, size: int = 400) -> Tokenizer:
    """A byte-level BPE learned from two modules of the standard library."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([inspect.getsource(m) for m in (inspect, textwrap)], trainer)
    return tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return learn()


@pytest.fixture(scope="session")
def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    return Vocabulary(tokenizer)


@pytest.fixture
def task() -> Callable[..., Task]:
    """Makes a task from a text with a cursor: prefix|suffix, or prefix|reference|suffix."""

    def make(text: str, kind: SpanKind = SpanKind.LINE) -> Task:
        parts = text.split("|")
        prefix, reference = parts[0], parts[1] if len(parts) == 3 else ""
        start = len(prefix)
        source = "".join(parts)
        return Task("a.py", source, start, start + len(reference), kind)

    return make


def _habits(tokenizer: Tokenizer) -> list[float]:
    """What makes a random model write ASCII and come to an end, a weight for each token."""
    vocabulary = Vocabulary(tokenizer)

    def habit(number: int) -> float:
        piece = vocabulary.piece(number)
        if number in vocabulary.newlines:
            return 2.0
        ascii_text = piece and piece.isascii() and piece.decode().isprintable()
        return 0.1 if number == 0 or ascii_text else -3.0

    return [habit(number) for number in range(vocabulary.size)]


@pytest.fixture(scope="session")
def save_model(tokenizer: Tokenizer) -> Callable[..., Path]:
    """Writes a tiny random Llama and its tokenizer to a folder."""

    def save(folder: Path, *, width: int = 32, seed: int = 0, **config: object) -> Path:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=tokenizer.get_vocab_size(),
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                max_position_embeddings=256,
                initializer_range=0.25,  # peaked enough for beams to differ
                bos_token_id=None,
                eos_token_id=0,
                pad_token_id=0,
                **config,
            )
        )
        with torch.no_grad():
            model.model.embed_tokens.weight[:, 0] = 4.0  # this dimension stays positive throughout,
            model.lm_head.weight[:, 0] = torch.tensor(_habits(tokenizer))  # and is a bias here
        model.save_pretrained(folder)
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, eos_token=SPECIAL[0], pad_token=SPECIAL[0]
        ).save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def tiny(save_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model."""
    return save_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def one_thread() -> None:
    """Threads that wait for each other on a busy machine make tiny products slow."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def generator(tiny: Path, one_thread: None) -> LocalGenerator:
    from p2assist.config import GenerationConfig
    from p2assist.generation.local import LocalGenerator

    return LocalGenerator.load(str(tiny), config=GenerationConfig(max_tokens=24), dtype="float32")


@pytest.fixture(scope="session")
def make_adapter() -> Callable[..., Path]:
    """Writes a LoRA adapter with random weights for the model in a folder."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    def make(
        base: Path, folder: Path, *, name: str = "", targets: str | list[str] = "all-linear"
    ) -> Path:
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_pretrained(base)
        lora = LoraConfig(r=4, init_lora_weights=False, target_modules=targets)
        adapted = get_peft_model(model, lora)
        adapted.peft_config["default"].base_model_name_or_path = name or str(base)
        adapted.save_pretrained(folder, save_embedding_layers=False)  # True asks the hub
        return folder

    return make
