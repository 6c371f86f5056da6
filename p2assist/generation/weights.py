"""The weights of a Llama-like network as the lean forward wants them: fused and packed.

Families: Llama (Code Llama, DeepSeek-Coder and the embedded model are Llamas), Qwen2, Mistral and
StarCoder2. The architecture is read off transformers' own modules; what is in any way unlike them
is left to the general forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from p2assist.generation.linear import Linear, packs

FAMILIES = frozenset({"llama", "qwen2", "mistral", "starcoder2"})
_FIXED_TURNS = frozenset({"default", "linear", "llama3", "yarn"})  # the same at every length
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


def fits(network: Any) -> bool:
    """Whether the lean forward can stand for the network."""
    config = network.config
    turns = getattr(config, "rope_parameters", None) or {}
    return (
        config.model_type in FAMILIES
        and turns.get("rope_type", "default") in _FIXED_TURNS
        and turns.get("partial_rotary_factor", 1.0) in (None, 1.0)
        and type(network).__name__.endswith("ForCausalLM")
    )


def lean_weights(network: Any) -> Weights:
    """The network's weights, copied where they are fused or packed. See `fits`."""
    config, model = network.config, network.model
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    weight = network.lm_head.weight
    return Weights(
        embedding=model.embed_tokens.weight.detach().clone(),  # not a view of the whole file
        blocks=tuple(_block(network, number, width) for number in range(len(model.layers))),
        norm=_norm(model.norm),
        head=_fuse(network, ("lm_head",)),
        turns=_turns(model.rotary_emb, config.max_position_embeddings, weight.device),
        heads=config.num_attention_heads,
        groups=config.num_key_value_heads,
        width=width,
        # A processor's norms are no faster in bfloat16, only less exact; products are.
        dtype=torch.float32 if weight.device.type == "cpu" else weight.dtype,
        kept=weight.dtype,
    )


def _block(network: Any, number: int, width: int) -> Block:
    layer, config = network.model.layers[number], network.config
    attention, mlp = f"model.layers.{number}.self_attn.", f"model.layers.{number}.mlp."
    gated = hasattr(layer.mlp, "gate_proj")
    up, down = (("gate_proj", "up_proj"), "down_proj") if gated else (("c_fc",), "c_proj")
    turned = (config.num_attention_heads, config.num_key_value_heads, 0)
    return Block(
        before=_norm(layer.input_layernorm),
        qkv=_fuse(network, [attention + part for part in ("q_proj", "k_proj", "v_proj")], turned),
        out=_fuse(network, [attention + "o_proj"]),
        after=_norm(layer.post_attention_layernorm),
        up=_fuse(network, [mlp + part for part in up]),
        down=_fuse(network, [mlp + down]),
        act=layer.mlp.act_fn if gated else layer.mlp.act,
        gated=gated,
        window=_window(config, number),
    )


def _fuse(network: Any, names: Any, heads: tuple[int, ...] | None = None) -> Fused:
    modules = [network.get_submodule(name) for name in names]
    heads = heads or (0,) * len(modules)
    pairs = list(zip(modules, heads, strict=True))
    weight = torch.cat([_paired(module.weight.detach(), count) for module, count in pairs])
    bias = None
    if modules[0].bias is not None:
        bias = torch.cat([_paired(module.bias.detach(), count) for module, count in pairs])
    packed = packs(weight.device)
    if bias is not None and packed:
        bias = bias.float()
    sizes = tuple(len(module.weight) for module in modules)
    return Fused(tuple(names), sizes, heads, Linear(weight, bias, packed=packed))


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


def _norm(module: Any) -> Norm:
    bias = getattr(module, "bias", None)
    eps = getattr(module, "variance_epsilon", None) or module.eps
    weight = module.weight.detach()
    if weight.device.type == "cpu":
        weight, bias = weight.float(), None if bias is None else bias.detach().float()
    return Norm(weight, bias, eps)


def _turns(rotary: Any, positions: int, device: torch.device) -> torch.Tensor:
    """By the network's own module, so that every fixed scaling of positions comes along."""
    with torch.no_grad():
        numbers = torch.arange(positions, device=device)[None]
        cos, sin = rotary(torch.empty(0, dtype=torch.float32, device=device), numbers)
    half = cos.shape[-1] // 2
    return torch.complex(cos[0, :, :half].float(), sin[0, :, :half].float())[:, None]


def _window(config: Any, number: int) -> int:
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and kinds[number] != "sliding_attention":
        return 0
    return getattr(config, "sliding_window", None) or 0
