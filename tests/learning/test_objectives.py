from __future__ import annotations

import pytest

from p2assist.errors import LearningError
from p2assist.experience import Source
from p2assist.learning.objectives import OBJECTIVES, objective


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("cross-entropy", (1.0, 1.0, 1.0, 1.0)),
        ("weighted", (1.0, 0.75, 0.0, 0.0)),
        ("pass-only", (1.0, 0.0, 0.0, 0.0)),
    ],
)
def test_what_a_draw_weighs(name, weights, make_experience, make_report):
    reports = (make_report(4), make_report(3, 1), make_report(0, 4), None)
    given = tuple(objective(name).weight(make_experience(report=r), 1.0) for r in reports)
    assert given == weights


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_a_reference_passes_by_definition_and_importance_scales(name, make_experience):
    reference = make_experience(source=Source.REFERENCE)
    assert objective(name).weight(reference, 0.25) == 0.25


def test_a_partial_report_is_not_all(make_experience, make_report):
    unfinished = make_experience(report=make_report(3, not_run=1))
    assert objective("pass-only").weight(unfinished, 1.0) == 0.0


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(LearningError, match=r"learning\.objective .*pass-only"):
        objective("dpo")


@pytest.mark.model
def test_the_loss_is_the_weighted_mean_of_the_target_tokens():
    import torch

    logprobs = torch.tensor([[-1.0, -2.0, -9.0], [-4.0, -9.0, -9.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    loss = objective("weighted").loss(logprobs, mask, torch.tensor([1.0, 0.5]))
    assert loss.item() == pytest.approx((1 + 2 + 0.5 * 4) / 3)
