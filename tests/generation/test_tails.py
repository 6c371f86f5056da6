from __future__ import annotations

import pytest

pytestmark = pytest.mark.model

torch = pytest.importorskip("torch")
from transformers import DynamicCache  # noqa: E402

from p2assist.generation.tails import fork, select  # noqa: E402


def prompt() -> DynamicCache:
    cache = DynamicCache()
    for layer in range(2):
        cache.update(torch.full((1, 2, 3, 4), 1.0 + layer), torch.full((1, 2, 3, 4), 5.0), layer)
    return cache


def step(cache: DynamicCache, rows: int, number: float) -> torch.Tensor:
    new = number + torch.arange(rows).float()[:, None, None, None].expand(rows, 2, 1, 4)
    keys, _ = cache.update(new, -new, 1)
    cache.update(new, -new, 0)
    return keys[:, 0, :, 0]


def test_beams_share_the_prompt_and_take_their_tails_along() -> None:
    cache = fork(prompt(), rows=3, room=4)
    select(cache, [0, 0, 0])
    assert step(cache, 3, 10).tolist() == [[2, 2, 2, 10], [2, 2, 2, 11], [2, 2, 2, 12]]
    select(cache, [2, 0])
    assert step(cache, 2, 20).tolist() == [[2, 2, 2, 12, 20], [2, 2, 2, 10, 21]]
    select(cache, [1, 1, 0])
    assert cache.get_seq_length() == 5
    assert step(cache, 3, 30)[:, 3:].tolist() == [[10, 21, 30], [10, 21, 31], [12, 20, 32]]
    assert cache.layers[0].values[0, 0, :, 0].tolist() == [5, 5, 5, -10, -21, -30]


def test_layers_of_another_kind_are_left_to_transformers() -> None:
    from transformers.cache_utils import DynamicSlidingWindowLayer

    cache = prompt()
    layer = DynamicSlidingWindowLayer(sliding_window=8)
    layer.update(cache.layers[0].keys, cache.layers[0].values)
    cache.layers[0] = layer
    forked = fork(cache, rows=3, room=4)
    assert type(forked.layers[0]) is DynamicSlidingWindowLayer
    assert forked.layers[0].keys.shape[0] == forked.layers[1].keys.shape[0] == 3
