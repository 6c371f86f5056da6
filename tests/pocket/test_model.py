from __future__ import annotations

import pytest

from p2assist.pocket.build.recipe import ModelRecipe

pytestmark = pytest.mark.model

RECIPE = ModelRecipe(hidden=64, layers=2, heads=4, kv_heads=2, intermediate=96, positions=128)


def test_it_is_the_llama_of_transformers() -> None:
    import torch
    from transformers import LlamaForCausalLM

    from p2assist.pocket.build.export import configuration
    from p2assist.pocket.build.model import Pocket

    torch.manual_seed(0)
    ours = Pocket(RECIPE, 300)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs = LlamaForCausalLM(configuration(RECIPE, 300, 0))
    theirs.load_state_dict(ours.state_dict(), strict=False)
    ids = torch.randint(0, 300, (2, 100))

    with torch.inference_mode():
        found, expected = ours(ids) @ ours.head.T, theirs(ids).logits

    assert set(dict(ours.named_parameters())) == set(dict(theirs.named_parameters()))
    assert torch.allclose(found, expected, atol=1e-4)


def test_untrained_layers_change_nothing() -> None:
    import torch

    from p2assist.pocket.build.model import Pocket

    model = Pocket(RECIPE, 300)
    ids = torch.randint(0, 300, (1, 20))
    assert torch.equal(model(ids), model.model.norm(model.model.embed_tokens(ids)))
