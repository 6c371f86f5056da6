"""The Llama that is trained: transformers' parameter names and results, and nothing else.

transformers' own class builds an attention mask when it is compiled, which keeps the flash kernel
from being used, and casts more than it needs to.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .recipe import ModelRecipe

THETA = 10_000.0
EPSILON = 1e-6


class Norm(nn.Module):
    """Root mean square norm, computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normal = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + EPSILON)
        return self.weight * normal.to(x.dtype)


class Attention(nn.Module):
    """Causal attention with rotary positions; several query heads share a key and value head."""

    def __init__(self, recipe: ModelRecipe) -> None:
        super().__init__()
        self.size = recipe.hidden // recipe.heads
        self.group = recipe.heads // recipe.kv_heads
        shared = self.size * recipe.kv_heads
        self.q_proj = nn.Linear(recipe.hidden, recipe.hidden, bias=False)
        self.k_proj = nn.Linear(recipe.hidden, shared, bias=False)
        self.v_proj = nn.Linear(recipe.hidden, shared, bias=False)
        self.o_proj = nn.Linear(recipe.hidden, recipe.hidden, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        rows, length, width = x.shape
        query = _rotate(self._heads(self.q_proj(x)), cos, sin)
        key = _rotate(self._heads(self.k_proj(x)), cos, sin)
        value = self._heads(self.v_proj(x))
        key = key.repeat_interleave(self.group, 1)
        value = value.repeat_interleave(self.group, 1)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        out: torch.Tensor = self.o_proj(mixed.transpose(1, 2).reshape(rows, length, width))
        return out

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        rows, length, _ = x.shape
        return x.view(rows, length, -1, self.size).transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, recipe: ModelRecipe) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(recipe.hidden, recipe.intermediate, bias=False)
        self.up_proj = nn.Linear(recipe.hidden, recipe.intermediate, bias=False)
        self.down_proj = nn.Linear(recipe.intermediate, recipe.hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    """One block, pre-norm."""

    def __init__(self, recipe: ModelRecipe) -> None:
        super().__init__()
        self.input_layernorm = Norm(recipe.hidden)
        self.self_attn = Attention(recipe)
        self.post_attention_layernorm = Norm(recipe.hidden)
        self.mlp = FeedForward(recipe)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        out: torch.Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Trunk(nn.Module):
    """Everything but the head, whose weights are the embeddings'."""

    def __init__(self, recipe: ModelRecipe, vocabulary: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, recipe.hidden)
        self.layers = nn.ModuleList(Layer(recipe) for _ in range(recipe.layers))
        self.norm = Norm(recipe.hidden)


class Pocket(nn.Module):
    """The network from tokens (batch, length) to the head's input (batch, length, hidden)."""

    cos: torch.Tensor
    sin: torch.Tensor

    def __init__(self, recipe: ModelRecipe, vocabulary: int) -> None:
        super().__init__()
        self.model = Trunk(recipe, vocabulary)
        size = recipe.hidden // recipe.heads
        rates = THETA ** (-torch.arange(0, size, 2) / size)
        turns = torch.arange(recipe.positions)[:, None] * rates
        turns = torch.cat((turns, turns), -1)
        self.register_buffer("cos", turns.cos(), persistent=False)
        self.register_buffer("sin", turns.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.zeros_(parameter)  # a layer begins as the identity
            elif parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    @property
    def head(self) -> torch.Tensor:
        """(vocabulary, hidden)."""
        return self.model.embed_tokens.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.model.embed_tokens(ids)
        length = ids.shape[1]
        cos, sin = self.cos[:length].to(x.dtype), self.sin[:length].to(x.dtype)
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        out: torch.Tensor = self.model.norm(x)
        return out


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    low, high = x.chunk(2, -1)
    return x * cos + torch.cat((-high, low), -1) * sin
