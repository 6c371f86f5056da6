"""A product with a weight matrix that is kept in the order its processor's kernel wants."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

_EIGHT = 8  # rows that a weight is laid out for; any number may be multiplied


class Linear:
    """x @ weight.T + bias, for x of (rows, inputs); the result has x's type.

    weight: (outputs, inputs). Packed, it is oneDNN's own layout: measured on 8 rows it takes half
    of the time that torch's plain product does, which lays a bfloat16 weight out again in every
    call. x is rounded to the weight's type on its way in; sums are taken in float32.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None = None, *, packed: bool = False
    ) -> None:
        self.shape = tuple(weight.shape)
        self.bias = bias
        self.packed = packed
        self._weight = (
            torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _EIGHT)
            if packed
            else weight
        )

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if not self.packed:
            return F.linear(x, self._weight, self.bias)
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            x.to(self._weight.dtype), self._weight, None, "none", [], ""
        )
        out = out.to(x.dtype)
        return out if self.bias is None else out.add_(self.bias)

    def onto(self, sums: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """sums + self(x); may write over sums."""
        if x.is_cuda and self.bias is None:
            return sums.addmm_(x, self._weight.t())  # one kernel instead of two
        return sums + self(x)

    @property
    def weight(self) -> torch.Tensor:
        """The matrix in its usual order; a copy where it is packed."""
        return self._weight.to_dense() if self.packed else self._weight


def packs(device: torch.device) -> bool:
    """Whether weights can be packed here: on a processor, by a torch with oneDNN."""
    return (
        device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
