"""What a config says of a Llama-like network: its shape, and the names of its tensors.

Families: Llama (Code Llama, DeepSeek-Coder and the embedded model are Llamas), Qwen2, Mistral and
StarCoder2. What is in any way unlike them is left to the general forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

FAMILIES = frozenset({"llama", "qwen2", "mistral", "starcoder2"})
ACTIVATIONS = frozenset({"silu", "gelu", "gelu_pytorch_tanh", "relu"})
_FIXED_TURNS = frozenset({"default", "linear", "llama3", "yarn"})  # the same at every length
_PRODUCTS = frozenset({"qkv", "out", "up", "down"})
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Architecture:
    """vocabulary: rows of the embedding and of the output. inner: width of the MLP. heads, groups:
    of queries, and of keys and values, `width` wide each. rotary, theta: how positions turn, and
    the base of the frequencies, 0 where the config does not say. windows: how many tokens back
    each layer's attention sees, 0 for all. tied: the output is the embedding. biased: which of
    the products, and whether the norms ('norm'), have a bias."""

    family: str
    vocabulary: int
    hidden: int
    inner: int
    heads: int
    groups: int
    width: int
    positions: int
    eps: float
    act: str
    rotary: str
    theta: float
    windows: tuple[int, ...]
    tied: bool
    biased: frozenset[str]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Architecture | None:
        """config: as transformers fills it in, or as a file has it where the file leaves nothing
        to a default. None where the lean forward cannot stand for such a network."""
        try:
            return _read(config) if config["model_type"] in FAMILIES else None
        except (KeyError, TypeError, ValueError, IndexError):
            return None

    @property
    def layers(self) -> int:
        return len(self.windows)

    @property
    def gated(self) -> bool:
        """Whether the MLP's first product is (gate, up)."""
        return self.family != "starcoder2"

    @property
    def parameters(self) -> int:
        return sum(map(prod, self.tensors().values()))

    def products(self, layer: int) -> dict[str, tuple[str, ...]]:
        """The modules of a layer's products: qkv, out, up and down."""
        attention, mlp = f"model.layers.{layer}.self_attn.", f"model.layers.{layer}.mlp."
        up, down = (("gate_proj", "up_proj"), "down_proj") if self.gated else (("c_fc",), "c_proj")
        return {
            "qkv": (attention + "q_proj", attention + "k_proj", attention + "v_proj"),
            "out": (attention + "o_proj",),
            "up": tuple(mlp + part for part in up),
            "down": (mlp + down,),
        }

    def norms(self, layer: int) -> tuple[str, str]:
        """The modules before a layer's attention and before its MLP."""
        at = f"model.layers.{layer}."
        return at + "input_layernorm", at + "post_attention_layernorm"

    def shapes(self) -> dict[str, Shape]:
        """The shape of each module's weight, by the name of the module."""
        whole = (self.vocabulary, self.hidden)
        shapes = {"model.embed_tokens": whole, "model.norm": (self.hidden,), "lm_head": whole}
        for layer in range(self.layers):
            shapes |= dict.fromkeys(self.norms(layer), (self.hidden,))
            for product, names in self.products(layer).items():
                rows, columns = self._sizes(product)
                shapes |= {n: (size, columns) for n, size in zip(names, rows, strict=True)}
        return shapes

    def tensors(self) -> dict[str, Shape]:
        """The shape of each tensor that a file of such a network has, by its name."""
        shapes = self.shapes()
        found = {f"{name}.weight": shape for name, shape in shapes.items()}
        if self.tied:
            del found["lm_head.weight"]
        biased = ["model.norm"] if "norm" in self.biased else []
        for layer in range(self.layers):
            biased += self.norms(layer) if "norm" in self.biased else ()
            for product, names in self.products(layer).items():
                biased += names if product in self.biased else ()
        return found | {f"{name}.bias": shapes[name][:1] for name in biased}

    def _sizes(self, product: str) -> tuple[Shape, int]:
        """(outputs of each of its modules, inputs)."""
        query, key = self.heads * self.width, self.groups * self.width
        if product == "qkv":
            return (query, key, key), self.hidden
        if product == "up":
            return (self.inner,) * (2 if self.gated else 1), self.hidden
        return (self.hidden,), query if product == "out" else self.inner


def _read(config: Mapping[str, Any]) -> Architecture | None:
    """Raises KeyError, TypeError or ValueError where something is missing or odd."""
    family, heads, hidden = (
        config["model_type"],
        config["num_attention_heads"],
        config["hidden_size"],
    )
    turns = config.get("rope_parameters") or {}
    rotary, part = turns.get("rope_type", "default"), turns.get("partial_rotary_factor", 1.0)
    if (
        rotary not in _FIXED_TURNS
        or part not in (None, 1.0)
        or config["hidden_act"] not in ACTIVATIONS
        or config.get("quantization_config")
    ):
        return None
    groups = config["num_key_value_heads"] or heads
    made = Architecture(
        family=family,
        vocabulary=config["vocab_size"],
        hidden=hidden,
        inner=config["intermediate_size"],
        heads=heads,
        groups=groups,
        width=config.get("head_dim") or hidden // heads,
        positions=config["max_position_embeddings"],
        eps=config["norm_epsilon" if family == "starcoder2" else "rms_norm_eps"],
        act=config["hidden_act"],
        rotary=rotary,
        theta=turns.get("rope_theta") or config.get("rope_theta") or 0,
        windows=_windows(config),
        tied=config["tie_word_embeddings"],
        biased=_biased(config),
    )
    counts = (made.vocabulary, hidden, made.inner, heads, groups, made.width, made.positions)
    if not all(type(count) is int and count > 0 for count in counts):
        raise ValueError(counts)
    return made if made.width % 2 == 0 == heads % groups else None


def _windows(config: Mapping[str, Any]) -> tuple[int, ...]:
    family, layers = str(config["model_type"]), int(config["num_hidden_layers"])
    if family == "llama":
        return (0,) * layers
    window: int = config["sliding_window"] or 0
    if family == "qwen2" and not config.get("use_sliding_window"):
        window = 0
    kinds = config.get("layer_types")
    if family == "qwen2" and window and kinds is None:
        first = config["max_window_layers"]
        return tuple(window if layer >= first else 0 for layer in range(layers))
    if kinds is None:
        return (window,) * layers
    return tuple(window if kinds[layer] == "sliding_attention" else 0 for layer in range(layers))


def _biased(config: Mapping[str, Any]) -> frozenset[str]:
    match config["model_type"]:
        case "llama":
            attention = {"qkv", "out"} if config.get("attention_bias") else set()
            return frozenset(attention | ({"up", "down"} if config.get("mlp_bias") else set()))
        case "qwen2":
            return frozenset({"qkv"})
        case "starcoder2":
            return frozenset({"norm"}) | (_PRODUCTS if config.get("use_bias", True) else set())
    return frozenset()
