"""How far each pair of a head's numbers is turned at each position."""

from __future__ import annotations

import torch


def default_turns(theta: float, width: int, positions: int, device: torch.device) -> torch.Tensor:
    """(positions, 1, width / 2), complex: transformers' rotary embedding of the type 'default', to
    the last bit. theta: the base of the frequencies."""
    powers = torch.arange(0, width, 2, dtype=torch.float32) / width
    frequencies = (1.0 / (theta**powers)).to(device)
    angles = torch.arange(positions, device=device)[:, None].float() * frequencies
    return complex_turns(angles.cos(), angles.sin())


def complex_turns(cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """cos, sin: (positions, width / 2)."""
    return torch.complex(cos.float(), sin.float())[:, None]
