"""Stage 4: the trained model in the layout that transformers loads."""

from __future__ import annotations

import copy
import shutil
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, LlamaForCausalLM

from .tokenizer import END, save, token_id

# How generation asks it: "plain" is the prefix alone. At this size the suffix gives nothing yet:
# where the last blank before the cursor is left to the model both orders meet as many lines (0.055
# and 0.140 of 200 at 1 and 8 beams with it, 0.040 and 0.150 without), and plain needs no suffix.
TEMPLATE = "plain"


def export(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write config, bfloat16 weights, tokenizer and generation settings to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    end = token_id(tokenizer, END)
    model = copy.deepcopy(model).to(torch.bfloat16)
    model.set_attn_implementation("sdpa")
    model.generation_config = GenerationConfig(
        eos_token_id=end, pad_token_id=end, do_sample=False, max_new_tokens=64
    )
    model.config.p2assist_template = TEMPLATE
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    save(tokenizer, folder, positions=model.config.max_position_embeddings)


def publish(model: LlamaForCausalLM, tokenizer: Tokenizer, link: Path) -> None:
    """Export to a fresh folder beside the link and turn the link to it at once."""
    fresh = link.with_name(f"{link.name}-{time.strftime('%H%M%S')}")
    export(model, tokenizer, fresh)
    temporary = link.with_name(link.name + ".tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(fresh.name)
    temporary.replace(link)
    kept = sorted(link.parent.glob(link.name + "-*"))[-2:]
    for old in link.parent.glob(link.name + "-*"):
        if old not in kept:
            shutil.rmtree(old)
