"""Where a model computes here, and in which type."""

from __future__ import annotations

from typing import Literal

import torch

Dtype = Literal["auto", "float32", "bfloat16"]


def device_here() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype_here(wanted: Dtype = "auto") -> torch.dtype:
    """auto: bfloat16 where the processor multiplies it natively, float32 elsewhere."""
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.bfloat16 if native and native() else torch.float32
