"""What came out of one fine-tuning run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Trained:
    """One fine-tuning run.

    adapter: the folder of adapter_model.safetensors and adapter_config.json. tokens: ids that
    went through the model, prompts included; target_tokens: those that were learned. seconds: of
    the last process alone, where it was resumed. loss_first, loss_last: nats a target token,
    mean over the first and the last tenth of the steps.
    """

    adapter: Path
    steps: int
    tokens: int
    target_tokens: int
    seconds: float
    loss_first: float
    loss_last: float
