"""Stage 3: train within a budget of minutes, with checkpoints and usable snapshots."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from .batches import Batch, Sampler
from .corpus import Document
from .export import export, publish
from .loss import fused_loss
from .recipe import ModelRecipe, TrainRecipe
from .tokenizer import END, token_id

_CHECKPOINT_EVERY = 4.0  # minutes
_LOG_EVERY = 20  # steps
_FORGET = 0.98  # of the smoothed loss, a step


@dataclass
class State:
    """Where a run is; minutes counts training only, over all its resumptions."""

    step: int = 0
    minutes: float = 0.0
    tokens: int = 0
    loss: float | None = None
    next_snapshot: float = 0.0

    def update(self, loss: float, tokens: int, minutes: float) -> None:
        """Count one step."""
        self.loss = loss if self.loss is None else _FORGET * self.loss + (1 - _FORGET) * loss
        self.step += 1
        self.tokens += tokens
        self.minutes += minutes


def rate(recipe: TrainRecipe, state: State) -> float:
    """The learning rates' factor: warm-up by steps, constant, then linear to 0 by time."""
    spent = state.minutes / recipe.minutes
    warm = min(1.0, (state.step + 1) / recipe.warmup_steps)
    return warm * min(1.0, max(0.0, (1 - spent) / (1 - recipe.decay_from)))


def build_model(recipe: ModelRecipe, vocabulary: int, end: int) -> LlamaForCausalLM:
    """An untrained model in float32."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=recipe.hidden,
            intermediate_size=recipe.intermediate,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=recipe.positions,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=end,
        )
    )


class Trainer:
    """A model in bfloat16, its float32 masters and their optimisers.

    Forward and backward run in bfloat16 throughout (autocast costs a third of the speed on
    CPUs with bfloat16 arithmetic); the updates go to the masters, which keep what bfloat16
    would round away.
    """

    def __init__(self, model: LlamaForCausalLM, recipe: TrainRecipe) -> None:
        self.recipe = recipe
        self.state = State(next_snapshot=recipe.snapshot_from)
        self._masters = {n: p.detach().clone().float() for n, p in model.named_parameters()}
        self.model = model.to(torch.bfloat16)
        # Eager attention: its two matrix products beat the fused kernel at 512 tokens.
        self.model.set_attn_implementation("eager")
        self.model.train()
        matrices = [p for n, p in self._masters.items() if p.ndim == 2 and "embed" not in n]
        others = [p for n, p in self._masters.items() if p.ndim != 2 or "embed" in n]
        self._optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                matrices, lr=recipe.muon_rate, momentum=0.95, weight_decay=recipe.weight_decay
            ),
            torch.optim.AdamW(others, lr=recipe.adam_rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self._rates = (recipe.muon_rate, recipe.adam_rate)

    def step(self, batch: Batch) -> float:
        """One update; returns the batch's loss in nats a token."""
        inputs, labels = torch.from_numpy(batch.inputs), torch.from_numpy(batch.labels)
        hidden = self.model.model(input_ids=inputs, use_cache=False).last_hidden_state
        weight = self.model.lm_head.weight
        loss = fused_loss(hidden.flatten(0, 1), weight, labels.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        self._update(rate(self.recipe, self.state))
        return float(loss.detach())

    def _update(self, factor: float) -> None:
        named = list(self.model.named_parameters())
        for name, parameter in named:
            self._masters[name].grad = parameter.grad.float()
            parameter.grad = None
        torch.nn.utils.clip_grad_norm_(self._masters.values(), self.recipe.clip)
        for optimiser, base in zip(self._optimisers, self._rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = base * factor
            optimiser.step()
        with torch.no_grad():
            for name, parameter in named:
                parameter.copy_(self._masters[name])
                self._masters[name].grad = None

    def save(self, path: Path) -> None:
        """Write a checkpoint that replaces the last one only once it is complete."""
        temporary = path.with_suffix(".tmp")
        content = {
            "masters": self._masters,
            "optimisers": [o.state_dict() for o in self._optimisers],
            "state": vars(self.state),
        }
        torch.save(content, temporary)
        temporary.replace(path)

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint."""
        content: dict[str, Any] = torch.load(path, weights_only=True)
        self.state = State(**content["state"])
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                self._masters[name].copy_(content["masters"][name])
                parameter.copy_(self._masters[name])
        for optimiser, saved in zip(self._optimisers, content["optimisers"], strict=True):
            optimiser.load_state_dict(saved)


def train(
    model_recipe: ModelRecipe,
    recipe: TrainRecipe,
    documents: Sequence[Document],
    tokenizer: Tokenizer,
    folder: Path,
) -> Path:
    """Train until the budget is spent; returns the last checkpoint.

    Writes folder/checkpoint.pt every few minutes and resumes from it, a line of
    folder/train.jsonl every few steps, and folder/snapshot (a link to the layout that
    transformers loads) at the recipe's times.
    """
    checkpoint = folder / "checkpoint.pt"
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    end = token_id(tokenizer, END)
    model = build_model(model_recipe, tokenizer.get_vocab_size(), end)
    trainer = Trainer(model, recipe)
    if checkpoint.exists():
        trainer.restore(checkpoint)
    sampler = Sampler(
        documents,
        tokenizer,
        context=recipe.context,
        batch=recipe.batch,
        fim_share=recipe.fim_share,
        context_share=recipe.context_share,
        suffix_tokens=recipe.suffix_tokens,
        # Another seed after a resumption: the data go on instead of beginning anew.
        seed=recipe.seed + trainer.state.step,
    )
    _spend(trainer, sampler, tokenizer, folder)
    trainer.save(checkpoint)
    return checkpoint


def _spend(trainer: Trainer, batches: Iterable[Batch], tokenizer: Tokenizer, folder: Path) -> None:
    """Train on the batches until the budget is spent."""
    recipe, state = trainer.recipe, trainer.state
    saved = state.minutes
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress, (folder / "train.jsonl").open("a") as log:
        task = progress.add_task("train", total=recipe.minutes)
        for batch in batches:
            began = time.monotonic()
            loss = trainer.step(batch)
            state.update(loss, batch.inputs.size, (time.monotonic() - began) / 60)
            over = state.minutes >= recipe.minutes
            if over or state.step % _LOG_EVERY == 0:
                log.write(json.dumps(vars(state) | {"rate": rate(recipe, state)}) + "\n")
                log.flush()
                speed = state.tokens / state.minutes / 60
                text = f"step {state.step}, loss {state.loss:.3f}, {speed:.0f} tokens/s"
                progress.update(task, completed=state.minutes, description=text)
            if over:
                break
            if state.minutes - saved >= _CHECKPOINT_EVERY:
                trainer.save(folder / "checkpoint.pt")
                saved = state.minutes
            if state.minutes >= state.next_snapshot:
                publish(trainer.model, tokenizer, folder / "snapshot")
                state.next_snapshot = state.minutes + recipe.snapshot_every


def export_checkpoint(
    recipe: ModelRecipe, tokenizer: Tokenizer, folder: Path, weights: Path
) -> None:
    """Write the masters of folder/checkpoint.pt to the weights folder."""
    saved: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    end = token_id(tokenizer, END)
    model = build_model(recipe, tokenizer.get_vocab_size(), end)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(saved["masters"][name])
    export(model, tokenizer, weights)
