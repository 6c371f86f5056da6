"""Stage 4: train within a budget of minutes or tokens, with checkpoints, on a GPU or on CPUs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .batches import IGNORED, Batch, Sampler
from .layout import Endings, Layout
from .loss import fused_loss
from .model import Pocket
from .neighbours import neighbours
from .pack import Packed
from .recipe import ModelRecipe, TrainRecipe

_CHECKPOINT_EVERY = 4.0  # minutes
_LOG_EVERY = 20  # steps
_WORKERS = 6  # that make batches for a GPU


@dataclass
class State:
    """Where a run is; minutes counts training only, over all its resumptions. loss: the mean of
    the last steps that were logged, nats a token. device: what it ran on last."""

    step: int = 0
    minutes: float = 0.0
    tokens: int = 0
    loss: float | None = None
    device: str = ""

    def spent(self, recipe: TrainRecipe) -> float:
        """Share of the budget, 1 or more when it is used up."""
        tokens = self.tokens / (recipe.million_tokens * 1e6) if recipe.million_tokens else 0.0
        return max(tokens, self.minutes / recipe.minutes if recipe.minutes else 0.0)


def rate(recipe: TrainRecipe, state: State) -> float:
    """The learning rates' factor: warm-up by steps, constant, then linear to 0 by the budget."""
    warm = min(1.0, (state.step + 1) / recipe.warmup_steps)
    return warm * min(1.0, max(0.0, (1 - state.spent(recipe)) / (1 - recipe.decay_from)))


class Batches(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """A Sampler's batches as tensors; each worker process draws its own."""

    def __init__(self, make: Callable[[int], Sampler], seed: int) -> None:
        self._make = make
        self._seed = seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        worker = get_worker_info()
        sampler = self._make(self._seed * 1000 + (worker.id if worker else 0))
        return map(_tensors, iter(sampler))


def _tensors(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(batch.inputs.copy()), torch.from_numpy(batch.labels)


class Trainer:
    """A model in bfloat16, its float32 masters and their optimisers.

    Forward and backward run in bfloat16 throughout; the updates go to the masters, which keep
    what bfloat16 would round away. Muon (torch's) for the matrices, AdamW for the rest.
    """

    def __init__(self, model: Pocket, recipe: TrainRecipe, device: str) -> None:
        self.recipe = recipe
        self.state = State(device=_name(device))
        self.device = device
        model = model.to(device)
        self._masters = {n: p.detach().clone().float() for n, p in model.named_parameters()}
        self.model = model.to(torch.bfloat16)
        self._parameters = dict(self.model.named_parameters())
        matrices = [p for n, p in self._masters.items() if p.ndim == 2 and "embed" not in n]
        others = [p for n, p in self._masters.items() if p.ndim != 2 or "embed" in n]
        self._optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                matrices, lr=recipe.muon_rate, momentum=0.95, weight_decay=recipe.weight_decay
            ),
            torch.optim.AdamW(others, lr=recipe.adam_rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self._rates = (recipe.muon_rate, recipe.adam_rate)
        self._loss = fused_loss
        if device == "cuda":
            for layer in self.model.model.layers:
                layer.compile()
            self._loss = torch.compile(_cross_entropy)

    def step(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One update; returns the batch's loss in nats a token, not waited for."""
        loss = self.loss(inputs, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self._update(rate(self.recipe, self.state))
        return loss.detach()

    def loss(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean loss of a batch, nats a token."""
        inputs = inputs.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True).long()
        hidden = self.model(inputs).flatten(0, 1)
        return self._loss(hidden, self.model.head, labels.flatten())

    def _update(self, factor: float) -> None:
        for name, parameter in self._parameters.items():
            assert parameter.grad is not None
            self._masters[name].grad = parameter.grad.float()
            parameter.grad = None
        torch.nn.utils.clip_grad_norm_(self._masters.values(), self.recipe.clip)
        for optimiser, base in zip(self._optimisers, self._rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = base * factor
            optimiser.step()
            optimiser.zero_grad()
        with torch.no_grad():
            torch._foreach_copy_(list(self._parameters.values()), list(self._masters.values()))

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
        content: dict[str, Any] = torch.load(path, weights_only=True, map_location=self.device)
        self.state = State(**content["state"] | {"device": self.state.device})
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                self._masters[name].copy_(content["masters"][name])
                parameter.copy_(self._masters[name])
        for optimiser, saved in zip(self._optimisers, content["optimisers"], strict=True):
            optimiser.load_state_dict(saved)


def train(
    model_recipe: ModelRecipe,
    recipe: TrainRecipe,
    packed: Packed,
    tokenizer: Tokenizer,
    folder: Path,
) -> Path:
    """Train until the budget is spent; returns the last checkpoint.

    Writes folder/checkpoint.pt every few minutes and resumes from it, and a line of
    folder/train.jsonl every few steps.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    checkpoint = folder / "checkpoint.pt"
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    torch.set_float32_matmul_precision("high")
    layout = Layout.of(packed, Endings.of(tokenizer))
    like = neighbours(packed, layout, tokenizer, device)
    trainer = Trainer(Pocket(model_recipe, tokenizer.get_vocab_size()), recipe, device)
    if checkpoint.exists():
        trainer.restore(checkpoint)
    loader = DataLoader(
        # Another seed after a resumption: the data go on instead of beginning anew.
        Batches(
            lambda seed: Sampler(packed, layout, like, tokenizer, recipe, seed),
            recipe.seed + trainer.state.step,
        ),
        batch_size=None,
        num_workers=_WORKERS if device == "cuda" else 0,
        pin_memory=device == "cuda",
        prefetch_factor=8 if device == "cuda" else None,
        multiprocessing_context="fork" if device == "cuda" else None,
    )
    _spend(trainer, loader, folder)
    trainer.save(checkpoint)
    return checkpoint


def _spend(trainer: Trainer, batches: Any, folder: Path) -> None:
    """Train on the batches until the budget is spent."""
    recipe, state = trainer.recipe, trainer.state
    before, saved, began = state.minutes, state.minutes, time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    losses: list[torch.Tensor] = []
    with Progress(*columns) as progress, (folder / "train.jsonl").open("a") as log:
        task = progress.add_task("train", total=1.0)
        for inputs, labels in batches:
            losses.append(trainer.step(inputs, labels))
            state.step += 1
            state.tokens += inputs.numel()
            state.minutes = before + (time.monotonic() - began) / 60
            over = state.spent(recipe) >= 1
            if over or state.step % _LOG_EVERY == 0:
                state.loss = float(torch.stack(losses).mean())  # waits for the device
                losses.clear()
                log.write(json.dumps(vars(state) | {"rate": rate(recipe, state)}) + "\n")
                log.flush()
                speed = state.tokens / max(state.minutes, 1e-9) / 60
                text = f"step {state.step}, loss {state.loss:.3f}, {speed:.0f} tokens/s"
                progress.update(task, completed=state.spent(recipe), description=text)
            if over:
                break
            if state.minutes - saved >= _CHECKPOINT_EVERY:
                trainer.save(folder / "checkpoint.pt")
                saved = state.minutes


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} CPU cores"


def _cross_entropy(
    hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """As fused_loss, left to the compiler to fuse."""
    return functional.cross_entropy((hidden @ weight.T).float(), labels, ignore_index=IGNORED)
