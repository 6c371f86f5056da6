from __future__ import annotations

import inspect
from itertools import islice

import numpy as np
import pytest
from tokenizers import Tokenizer

from p2assist.pocket.build import sources, spans, tokenizer
from p2assist.pocket.build.batches import IGNORED, Batch, Sampler
from p2assist.pocket.build.corpus import Document
from p2assist.pocket.build.recipe import TokenizerRecipe

DOCUMENTS = [
    Document("demo", "demo/spans.py", inspect.getsource(spans)),
    Document("demo", "demo/sources.py", inspect.getsource(sources)),
]
END, PREFIX, SUFFIX, FILE = 0, 1, 3, 4


@pytest.fixture(scope="module")
def learned() -> Tokenizer:
    return tokenizer.learn(TokenizerRecipe(vocabulary=600), [d.text for d in DOCUMENTS])


def drawn(
    learned: Tokenizer, *, fim_share: float, context_share: float = 0.0, count: int = 20
) -> list[Batch]:
    sampler = Sampler(
        DOCUMENTS,
        learned,
        context=384,
        batch=4,
        fim_share=fim_share,
        context_share=context_share,
        suffix_tokens=50,
        seed=0,
    )
    return list(islice(sampler, count))


def test_labels_are_the_inputs_shifted_and_padding_is_ignored(learned: Tokenizer) -> None:
    for batch in drawn(learned, fim_share=0.6):
        assert batch.inputs.shape == batch.labels.shape == (4, 384)
        for inputs, labels in zip(batch.inputs, batch.labels, strict=True):
            known = labels[:-1] != IGNORED
            assert np.array_equal(labels[:-1][known], inputs[1:][known])
            assert known.mean() > 0.5


def test_infilling_is_suffix_prefix_middle_and_is_part_of_a_document(learned: Tokenizer) -> None:
    checked = 0
    for batch in drawn(learned, fim_share=1.0):
        for row in batch.inputs.tolist():
            if row[0] != SUFFIX or END not in row:
                continue
            sequence = row[: row.index(END)]
            at = sequence.index(PREFIX)
            suffix = learned.decode(sequence[1:at])
            before = learned.decode(sequence[at + 1 :])
            whole = (before + suffix).rstrip("\ufffd")
            assert len(sequence[1:at]) <= 50
            assert any(whole in document.text for document in DOCUMENTS)
            checked += 1
    assert checked > 20


def test_plain_sequences_have_no_infilling_tokens(learned: Tokenizer) -> None:
    for batch in drawn(learned, fim_share=0.0):
        assert not np.isin(batch.inputs, [PREFIX, SUFFIX, FILE]).any()


def test_another_file_of_the_package_may_come_first(learned: Tokenizer) -> None:
    batch = drawn(learned, fim_share=0.0, context_share=1.0, count=1)[0]
    for row in batch.inputs.tolist():
        assert row[0] == FILE
        assert row.count(FILE) >= 2
        assert learned.decode(row[1:]).startswith("demo/")


def test_the_same_seed_gives_the_same_batches(learned: Tokenizer) -> None:
    first, second = drawn(learned, fim_share=0.6), drawn(learned, fim_share=0.6)
    assert all(np.array_equal(a.inputs, b.inputs) for a, b in zip(first, second, strict=True))
