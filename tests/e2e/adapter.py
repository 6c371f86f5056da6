"""usage: adapter.py REPOSITORY. Makes a LoRA adapter of random weights for the embedded model,
registers it there and prints its name: what a refresh would leave, in seconds."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from p2assist.config import load
from p2assist.learning.registry import Base, Manifest, Registry
from p2assist.pocket import weights_path


def make(repository: Path) -> str:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(weights_path())
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear"))
    base = Base.from_model("pocket", str(weights_path()))
    manifest = Manifest(base=base, data="", objective="none", seed=1, settings={})
    with tempfile.TemporaryDirectory() as folder:
        adapted.save_pretrained(folder, save_embedding_layers=False)
        return Registry(load(repository).state).add(Path(folder), manifest).name


if __name__ == "__main__":
    sys.stdout.write(make(Path(sys.argv[1])))
