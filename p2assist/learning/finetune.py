"""LoRA fine-tuning on weighted examples; killed at any time, it goes on from a checkpoint.

Every adapter starts fresh from the base model and sees the whole buffer through its sampler: an
adapter trained on top of the last one would drift, and forget what was removed from the store
would be impossible.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForCausalLM,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_callback import TrainerControl, TrainerState

from p2assist.config import LearningConfig
from p2assist.errors import LearningError, ModelError
from p2assist.generation.loading import quiet
from p2assist.learning.examples import Example
from p2assist.learning.objectives import Objective, objective
from p2assist.learning.storage import digest_of, read_json, write_atomic
from p2assist.learning.trained import Trained

Progress = Callable[[int, int, float], None]
"""Called with (step, steps, loss in nats a target token) after every step."""

CHECKPOINT_STEPS = 10
_RUN, _DONE, _ADAPTER = "run.json", "trained.json", "adapter"
_WARM_UP = 0.1  # share of the steps
_MALLOC = ((-4, 0), (-1, 2**31 - 1), (-2, 1 << 26))  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD


def finetune(
    model: str,
    examples: Sequence[Example],
    settings: LearningConfig,
    out: Path,
    *,
    name: str = "",
    progress: Progress | None = None,
) -> Trained:
    """Train a LoRA adapter of the base model on the examples, one pass over them.

    model: the base model's folder or hub name; name: what the adapter's config calls it. out:
    the run's folder, which belongs to this function: a rerun with the same examples and settings
    resumes there, or returns at once what is finished; one with others starts anew. The loss is
    taken on target_ids alone. Deterministic for a seed on one machine.

    Raises LearningError without examples, ModelError where the base model cannot be loaded.
    """
    if not examples:
        raise LearningError("there is nothing to train on: run `p2assist practice` first")
    run = digest_of(model, [asdict(example) for example in examples], asdict(settings))
    if read_json(out / _RUN) != {"digest": run}:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        write_atomic(out / _RUN, json.dumps({"digest": run}))
    done = out / _ADAPTER
    stored = read_json(done / _DONE)
    if stored is not None:
        return Trained(adapter=done, **stored)
    start = time.monotonic()
    _keep_freed_memory()
    with quiet():
        set_seed(settings.seed)
        trainer = _trainer(_load(model, settings), examples, settings, out, progress)
        checkpoint = _checkpoint(out)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    tenth = max(1, len(losses) // 10)
    figures = {
        "steps": trainer.state.global_step,
        "tokens": sum(len(e.prompt_ids) + len(e.target_ids) for e in examples),
        "target_tokens": sum(len(e.target_ids) for e in examples),
        "seconds": time.monotonic() - start,
        "loss_first": fmean(losses[:tenth]),
        "loss_last": fmean(losses[-tenth:]),
    }
    _save(trainer.model, name, figures, done)
    return Trained(adapter=done, **figures)


def _keep_freed_memory() -> None:
    """Tell glibc to keep what is freed: else every activation is mapped and zeroed anew, which
    takes most of a small model's step on a CPU (measured: 5 times)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:  # absent in musl
        for option, value in _MALLOC:
            mallopt(option, value)


def _load(model: str, settings: LearningConfig) -> Any:
    """The base model under a fresh LoRA on all its linear layers but the last."""
    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    try:
        base = AutoModelForCausalLM.from_pretrained(model, dtype=dtype, use_safetensors=True)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelError(
            f"the base model {model!r} cannot be loaded: {error}. Check `model`, or `p2assist "
            f"complete` with it first"
        ) from error
    base.config.use_cache = False
    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        # peft 0.21 reads a name that transformers 5.23 is about to drop; nobody here can mend it.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return get_peft_model(base, lora)


def _trainer(
    model: Any,
    examples: Sequence[Example],
    settings: LearningConfig,
    out: Path,
    progress: Progress | None,
) -> _Trainer:
    batches = -(-len(examples) // settings.batch_size)
    trainer = _Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(out),
            per_device_train_batch_size=settings.batch_size,
            num_train_epochs=1,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=max(1, round(_WARM_UP * batches)),
            weight_decay=0.0,
            max_grad_norm=1.0,
            use_cpu=not torch.cuda.is_available(),
            bf16=_bf16(),
            seed=settings.seed,
            save_strategy="steps",
            save_steps=CHECKPOINT_STEPS,
            save_total_limit=1,
            logging_strategy="steps",
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=torch.cuda.is_available(),
        ),
        train_dataset=_in_batches(examples, settings),
        data_collator=_collate,
        callbacks=[_Report(progress)] if progress else [],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.objective = objective(settings.objective)
    return trainer


def _bf16() -> bool:
    """Whether bfloat16 matrix products are faster here than float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())


def _in_batches(examples: Sequence[Example], settings: LearningConfig) -> list[Example]:
    """The examples so ordered that neighbours of a batch have similar lengths, batches shuffled.

    The order depends on the seed alone, so that a resumed run meets the same batches.
    """
    drawn = torch.Generator().manual_seed(settings.seed)
    shuffled = [examples[i] for i in torch.randperm(len(examples), generator=drawn).tolist()]
    by_length = sorted(shuffled, key=lambda e: (len(e.prompt_ids), len(e.target_ids)))
    size = settings.batch_size
    batches = [by_length[at : at + size] for at in range(0, len(by_length), size)]
    # The short batch stays at the end: in the middle it would shift every one after it.
    full = batches[:-1] if len(batches[-1]) < size else batches
    order = torch.randperm(len(full), generator=drawn).tolist()
    return [e for batch in [*(full[i] for i in order), *batches[len(full) :]] for e in batch]


def _collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """input_ids (batch, length), padded on the right; mask (batch, length), True where the next
    id is to be learned; weights (batch,).

    Padding needs no attention mask: it comes after all that counts, and attention looks back.
    """
    rows = [(*e.prompt_ids, *e.target_ids) for e in examples]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for row, (example, values) in enumerate(zip(examples, rows, strict=True)):
        ids[row, : len(values)] = torch.tensor(values)
        # Without a prompt the first target id has nothing that predicts it.
        mask[row, max(len(example.prompt_ids) - 1, 0) : len(values) - 1] = True
    weights = torch.tensor([e.weight for e in examples], dtype=torch.float32)
    return {"input_ids": ids, "mask": mask, "weights": weights}


class _Trainer(Trainer):  # type: ignore[misc]
    """transformers' Trainer with our loss and our order of examples."""

    objective: Objective

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Mapping[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> torch.Tensor:
        ids, mask = inputs["input_ids"], inputs["mask"]
        # Logits only where some row learns: all of them would cost more than the model.
        kept = mask.any(0).nonzero().squeeze(1)
        logits = model(input_ids=ids, logits_to_keep=kept, use_cache=False).logits
        if logits.shape[1] != kept.numel():  # an architecture that keeps all of them
            logits = logits[:, kept]
        following = ids[:, kept + 1]
        logprobs = torch.log_softmax(logits.float(), -1)
        logprobs = logprobs.gather(2, following.unsqueeze(2)).squeeze(2)
        return self.objective.loss(logprobs, mask[:, kept], inputs["weights"])

    def get_train_dataloader(self) -> DataLoader[Any]:
        loader = DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared


class _Report(TrainerCallback):  # type: ignore[misc]
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        if logs and "loss" in logs:
            self._progress(state.global_step, state.max_steps, logs["loss"])


def _checkpoint(out: Path) -> Path | None:
    """The newest checkpoint that was written to its end, which is the Trainer's state file; the
    rest is removed."""
    found = sorted(out.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    while found:
        newest = found.pop()
        if read_json(newest / "trainer_state.json") is not None:
            return newest
        shutil.rmtree(newest)
    return None


def _save(model: Any, name: str, figures: Mapping[str, float], done: Path) -> None:
    """Write the adapter beside its place, then move it there."""
    part = done.with_name(done.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    # Not before: at every save peft looks for a base model of this name, on the network too.
    if name:  # else the config names a folder of this machine
        model.peft_config["default"].base_model_name_or_path = name
    model.save_pretrained(part, save_embedding_layers=False)
    (part / "README.md").unlink(missing_ok=True)  # peft's template card says nothing
    (part / _DONE).write_text(json.dumps(dict(figures)))
    part.replace(done)
    for old in done.parent.glob("checkpoint-*"):
        shutil.rmtree(old)
