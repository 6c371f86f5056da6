"""A model of Qwen2.5-Coder-0.5B's shape with random weights: as costly, and no word of sense."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from benchmarks.packages import PLACE
from p2assist.pocket import weights_path

ROWS = 151_936


def qwen_shape(folder: Path = PLACE / "qwen2.5-coder-0.5b-shape") -> Path:
    """The folder of the model, made where it is not there (1 GB)."""
    done = folder / ".done"
    if done.exists():
        return folder.absolute()
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=ROWS,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
        dtype="bfloat16",
        p2assist_template="plain",
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        Qwen2ForCausalLM(config).save_pretrained(folder)
    finally:
        torch.set_default_dtype(before)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=_tokenizer(), eos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    done.touch()
    return folder.absolute()


def _tokenizer() -> Tokenizer:
    """The embedded model's, with words that nothing is spelled by for the other rows."""
    state = json.loads((weights_path() / "tokenizer.json").read_text("utf-8"))
    words = state["model"]["vocab"]
    known = set(words.values()) | {token["id"] for token in state["added_tokens"]}
    free = (number for number in range(ROWS) if number not in known)
    words |= {f"unused{number}": number for number in free}
    return Tokenizer.from_str(json.dumps(state))
