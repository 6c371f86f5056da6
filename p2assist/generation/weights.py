"""The weights of a Llama-like network as the lean forward wants them: fused and packed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from p2assist.generation.architecture import Architecture
from p2assist.generation.linear import Linear, packs

_ACT: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
}
Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Norm:
    """Root mean square, or layer norm where there is a bias."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    eps: float

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        shape = (len(self.weight),)
        if self.bias is not None:
            return F.layer_norm(x, shape, self.weight, self.bias, self.eps)
        return F.rms_norm(x, shape, self.weight, self.eps)


@dataclass(frozen=True, slots=True)
class Fused:
    """Matrices of one input as one. names: of the network's modules, in order. heads: how many
    heads each has whose pairs are turned by the position, 0 for none.

    transformers turns the first half of a head against its second half; here the two of a pair
    stand next to each other, as complex numbers do. The products of queries and keys stay what
    they are, since both are put in that order.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    heads: tuple[int, ...]
    linear: Linear

    def parts(self) -> dict[str, torch.Tensor]:
        """The weight of each module, in the network's own order."""
        split = torch.split(self.linear.weight, list(self.sizes))
        return {
            name: _apart(part, heads)
            for name, part, heads in zip(self.names, split, self.heads, strict=True)
        }

    def changed(self, changed: Tensors) -> Fused:
        """With other weights for those of its modules that are among the changed."""
        if not any(name in changed for name in self.names):
            return self
        parts = self.parts()
        whole = [
            _paired(changed[name].to(parts[name]) if name in changed else parts[name], heads)
            for name, heads in zip(self.names, self.heads, strict=True)
        ]
        old = self.linear
        return replace(self, linear=Linear(torch.cat(whole), old.bias, packed=old.packed))


@dataclass(frozen=True, slots=True)
class Block:
    """One layer. gated: its MLP's first product is (gate, up). window: how many tokens back its
    attention sees, 0 for all."""

    before: Norm
    qkv: Fused
    out: Fused
    after: Norm
    up: Fused
    down: Fused
    act: Callable[[torch.Tensor], torch.Tensor]
    gated: bool
    window: int

    def changed(self, changed: Tensors) -> Block:
        fused = {
            part: getattr(self, part).changed(changed) for part in ("qkv", "out", "up", "down")
        }
        return replace(self, **fused)


@dataclass(frozen=True, slots=True)
class Weights:
    """A whole network. heads, groups: of queries, and of keys and values, `width` wide each.
    turns: (positions, 1, width / 2), complex: how much each pair turns at a position. dtype: of
    what flows between the products. kept: of keys and values."""

    embedding: torch.Tensor
    blocks: tuple[Block, ...]
    norm: Norm
    head: Fused
    turns: torch.Tensor
    heads: int
    groups: int
    width: int
    dtype: torch.dtype
    kept: torch.dtype

    @property
    def device(self) -> torch.device:
        return self.embedding.device

    @property
    def token_bytes(self) -> int:
        """What one token's keys and values take."""
        return len(self.blocks) * 2 * self.groups * self.width * self.kept.itemsize

    @property
    def exact(self) -> bool:
        """Whether attention rounds nothing that flows."""
        return self.kept == self.dtype

    def changed(self, changed: Tensors) -> Weights:
        """With other weights for the named modules; the rest is shared, not copied."""
        blocks = tuple(block.changed(changed) for block in self.blocks)
        return replace(self, blocks=blocks, head=self.head.changed(changed))

    def weight(self, name: str) -> torch.Tensor:
        """The weight of one of the network's modules, in the network's own order."""
        if name == "model.embed_tokens":
            return self.embedding
        fused = (f for b in self.blocks for f in (b.qkv, b.out, b.up, b.down))
        return next(f for f in (*fused, self.head) if name in f.names).parts()[name]


def lean_weights(architecture: Architecture, tensors: Tensors, turns: torch.Tensor) -> Weights:
    """Copies of all that is kept.

    tensors: those that `architecture.tensors()` names, and 'lm_head.weight', all of one type and
    on one device. turns: as Weights has them.
    """
    embedding = tensors["model.embed_tokens.weight"]
    return Weights(
        embedding=embedding.detach().clone(),  # not a view of the whole file
        blocks=tuple(_block(architecture, tensors, at) for at in range(architecture.layers)),
        norm=_norm(architecture, tensors, "model.norm"),
        head=_fuse(tensors, ("lm_head",)),
        turns=turns,
        heads=architecture.heads,
        groups=architecture.groups,
        width=architecture.width,
        # A processor's norms are no faster in bfloat16, only less exact; products are.
        dtype=torch.float32 if embedding.device.type == "cpu" else embedding.dtype,
        kept=embedding.dtype,
    )


def _block(architecture: Architecture, tensors: Tensors, layer: int) -> Block:
    before, after = architecture.norms(layer)
    products = architecture.products(layer)
    return Block(
        before=_norm(architecture, tensors, before),
        qkv=_fuse(tensors, products["qkv"], (architecture.heads, architecture.groups, 0)),
        out=_fuse(tensors, products["out"]),
        after=_norm(architecture, tensors, after),
        up=_fuse(tensors, products["up"]),
        down=_fuse(tensors, products["down"]),
        act=_ACT[architecture.act],
        gated=architecture.gated,
        window=architecture.windows[layer],
    )


def _fuse(tensors: Tensors, names: tuple[str, ...], heads: tuple[int, ...] = ()) -> Fused:
    heads = heads or (0,) * len(names)
    weight, sizes = _joined(tensors, names, heads, ".weight")
    packed, bias = packs(weight.device), None
    if names[0] + ".bias" in tensors:
        bias, _ = _joined(tensors, names, heads, ".bias")
        bias = bias.float() if packed else bias
    return Fused(names, sizes, heads, Linear(weight, bias, packed=packed))


def _joined(
    tensors: Tensors, names: tuple[str, ...], heads: tuple[int, ...], kind: str
) -> tuple[torch.Tensor, tuple[int, ...]]:
    """(one tensor of all, how many rows each has)."""
    pairs = zip(names, heads, strict=True)
    parts = [_paired(tensors[name + kind].detach(), count) for name, count in pairs]
    return torch.cat(parts), tuple(map(len, parts))


def _paired(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """The halves of each head's rows, interleaved."""
    if not heads:
        return rows
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def _apart(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """The inverse of _paired."""
    if not heads:
        return rows
    pairs = rows.reshape(heads, -1, 2, *rows.shape[1:])
    return pairs.transpose(1, 2).reshape(rows.shape)


def _norm(architecture: Architecture, tensors: Tensors, name: str) -> Norm:
    weight, bias = tensors[name + ".weight"].detach(), None
    if name + ".bias" in tensors:
        bias = tensors[name + ".bias"].detach()
    if weight.device.type == "cpu":
        weight = weight.to(torch.float32, copy=True)
        bias = None if bias is None else bias.to(torch.float32, copy=True)
    return Norm(weight, bias, architecture.eps)
