"""The loss of a language model's last layer without keeping its logits."""

from __future__ import annotations

from typing import Any

import torch

from .batches import IGNORED

_ROWS = 1024  # rows of logits alive at a time: they stay in the cache


class _FusedLoss(torch.autograd.Function):
    """Cross entropy of hidden @ weight.T, its gradients computed on the way forward.

    A quarter of a CPU step went into writing float32 logits and reading them back.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        count = int((labels != IGNORED).sum())
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        to_hidden = torch.empty_like(hidden)
        to_weight = torch.zeros_like(weight, dtype=torch.float32)
        for at in range(0, len(hidden), _ROWS):
            rows, wanted = hidden[at : at + _ROWS], labels[at : at + _ROWS]
            known = wanted != IGNORED
            target = wanted.clamp(min=0).unsqueeze(1)
            log_probability = torch.log_softmax((rows @ weight.T).float(), -1)
            total -= log_probability.gather(1, target).squeeze(1)[known].sum()
            slope = log_probability.exp_()
            slope.scatter_add_(1, target, -torch.ones_like(target, dtype=slope.dtype))
            slope *= known.unsqueeze(1) / count
            low = slope.to(hidden.dtype)
            to_hidden[at : at + _ROWS] = low @ weight
            to_weight += low.T @ rows
        ctx.save_for_backward(to_hidden, to_weight.to(weight.dtype))
        return total / count

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        to_hidden, to_weight = ctx.saved_tensors
        return to_hidden * slopes[0], to_weight * slopes[0], None


def fused_loss(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy in nats of hidden (rows, width) @ weight (vocabulary, width).T.

    labels: (rows,), IGNORED where nothing is to be learned.
    """
    loss: torch.Tensor = _FusedLoss.apply(hidden, weight, labels)  # type: ignore[no-untyped-call]
    return loss
