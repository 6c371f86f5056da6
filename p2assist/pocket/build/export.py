"""Stage 5: the trained model in the layout that transformers loads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from .model import EPSILON, THETA
from .recipe import ModelRecipe
from .tokenizer import END, save, token_id

TEMPLATE = "pocket"
"""How generation asks it: the suffix first, and the middle goes on from the prefix."""


def configuration(recipe: ModelRecipe, vocabulary: int, end: int) -> LlamaConfig:
    """The model's config.json."""
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        max_position_embeddings=recipe.positions,
        rms_norm_eps=EPSILON,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
        p2assist_template=TEMPLATE,
    )


def export(
    recipe: ModelRecipe, weights: Mapping[str, torch.Tensor], tokenizer: Tokenizer, folder: Path
) -> None:
    """Write config, bfloat16 weights, tokenizer and generation settings to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    end = token_id(tokenizer, END)
    model = LlamaForCausalLM(configuration(recipe, tokenizer.get_vocab_size(), end))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    model = model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(
        eos_token_id=end, pad_token_id=end, do_sample=False, max_new_tokens=64
    )
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    save(tokenizer, folder, positions=recipe.positions)


def export_checkpoint(
    recipe: ModelRecipe, tokenizer: Tokenizer, folder: Path, weights: Path
) -> None:
    """Write the masters of folder/checkpoint.pt to the weights folder."""
    saved = torch.load(folder / "checkpoint.pt", weights_only=True, map_location="cpu")
    export(recipe, saved["masters"], tokenizer, weights)
