from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from p2assist.errors import LearningError
from p2assist.learning.examples import MIN_EXPERIENCES, Example, TrainingSet, training_set
from p2assist.learning.objectives import objective
from p2assist.tasks.splits import Split

SPLIT = Split(share=0.3)
TRAINABLE = [f"f{n}" for n in range(200) if SPLIT.may_train(f"m.py::f{n}")]
HELD = [f"f{n}" for n in range(200) if not SPLIT.may_train(f"m.py::f{n}")]


@dataclass
class Cycle:
    """A buffer that goes round what it holds."""

    items: list
    calls: int = 0

    def sample(self, size, seed):
        self.calls += 1
        return [self.items[n % len(self.items)] for n in range(size)] if self.items else []


@pytest.fixture
def passing(make_task, make_experience, make_report):
    return [make_experience(make_task(name), report=make_report(2)) for name in TRAINABLE[:40]]


def build(items, encoder, *, name="weighted", size=64):
    return training_set(Cycle(items), encoder, objective(name), SPLIT, size=size)


def test_weights_are_scaled_to_mean_one(passing, encoder):
    data = build([(e, 0.5 if n % 2 else 0.25) for n, e in enumerate(passing)], encoder)
    weights = [example.weight for example in data.examples]
    assert sum(weights) / len(weights) == pytest.approx(1.0)
    assert max(weights) == pytest.approx(2 * min(weights))
    assert (len(data.examples), data.distinct, data.drawn) == (64, 40, 64)
    assert data.sources == {"self": 64}


def test_an_example_is_the_prompt_and_the_candidate_with_its_stop(passing, encoder):
    example = build([(e, 1.0) for e in passing], encoder).examples[0]
    function = passing[0].task.function
    assert bytes(example.prompt_ids) == f"def {function}():\n    ".encode()
    assert bytes(example.target_ids) == b"return 1\0"


def test_what_weighs_nothing_is_drawn_again(passing, make_experience, make_report, encoder):
    failed = make_experience(text="raise", report=make_report(0, 2))
    data = build([(e, 1.0) for e in passing] + [(failed, 1.0)] * 120, encoder)
    assert len(data.examples) == 64
    assert data.drawn > 64
    assert all(bytes(e.target_ids) == b"return 1\0" for e in data.examples)


def test_the_papers_objective_takes_failures_too(
    passing, make_task, make_experience, make_report, encoder
):
    failed = make_experience(make_task(TRAINABLE[0]), "raise", make_report(0, 2))
    data = build([(e, 1.0) for e in [failed, *passing]], encoder, name="cross-entropy")
    assert b"raise\0" in {bytes(e.target_ids) for e in data.examples}


def test_held_out_functions_are_never_trained_on(
    passing, make_task, make_experience, make_report, encoder
):
    held = [make_experience(make_task(n, "return 7"), "return 7", make_report(1)) for n in HELD]
    data = build([(e, 1.0) for e in [*held, *passing]], encoder, size=200)
    assert data.distinct == len(passing)
    assert not any(b"7" in bytes(e.target_ids) for e in data.examples)


def test_held_out_text_is_cut_from_prompts(make_task, make_experience, make_report, encoder):
    def with_neighbour(name):
        task = make_task(name)
        above = f"def {HELD[0]}():\n    SECRET\n"
        return replace(
            task,
            source=above + task.source,
            start=task.start + len(above),
            end=task.end + len(above),
        )

    encoder.prompt = lambda task: list(task.prefix.encode())
    experiences = [
        make_experience(with_neighbour(n), report=make_report(1)) for n in TRAINABLE[:20]
    ]
    data = build([(e, 1.0) for e in experiences], encoder)
    assert data.distinct == 20
    assert not any(b"SECRET" in bytes(e.prompt_ids) for e in data.examples)


def test_a_source_that_does_not_parse_is_left_out(passing, encoder):
    broken = replace(
        passing[0], task=replace(passing[0].task, source=passing[0].task.source + "def (\n")
    )
    data = build([(e, 1.0) for e in [broken, *passing]], encoder, size=100)
    assert data.distinct == len(passing)


@pytest.mark.parametrize("count", [0, 1, MIN_EXPERIENCES - 1])
def test_too_few_say_to_practise(count, passing, encoder):
    with pytest.raises(LearningError, match=rf"^{count} usable .*`p2assist practice` first"):
        build([(e, 1.0) for e in passing[:count]], encoder)


def test_an_endless_supply_of_failures_ends(make_experience, make_report, encoder):
    buffer = Cycle([(make_experience(report=make_report(0, 1)), 1.0)])
    with pytest.raises(LearningError, match="too few"):
        training_set(buffer, encoder, objective("weighted"), SPLIT, size=8)
    assert buffer.calls == 8


def test_the_digest_is_that_of_the_examples():
    one = TrainingSet((Example((1,), (2,), 1.0),), 1, 1)
    assert one.digest == replace(one, drawn=9).digest
    assert one.digest != replace(one, examples=(Example((1, 2), (), 1.0),)).digest
    assert one.digest != replace(one, examples=(Example((1,), (2,), 0.5),)).digest
