from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from tokenizers import Tokenizer

from p2assist.pocket.build.batches import IGNORED, Batch, Sampler
from p2assist.pocket.build.corpus import Document
from p2assist.pocket.build.layout import Endings, Layout
from p2assist.pocket.build.pack import Packed
from p2assist.pocket.build.recipe import TrainRecipe

END, PREFIX, SUFFIX, FILE = 0, 1, 3, 4


@pytest.fixture(scope="module")
def draw(packed: Packed, learned: Tokenizer):  # type: ignore[no-untyped-def]
    layout = Layout.of(packed, Endings.of(learned))
    # Every chunk is like every third one.
    like = np.arange(len(layout.chunk_starts), dtype=np.int32)[:, None] + [[3, 6, 9, 12]]
    like[like >= np.searchsorted(layout.chunk_documents, 3)] = -1

    def drawn(*, fim_share: float, context_share: float = 0.0, count: int = 20) -> list[Batch]:
        recipe = TrainRecipe(
            context=768, batch=4, fim_share=fim_share, context_share=context_share, suffix_tokens=50
        )
        return list(islice(Sampler(packed, layout, like, learned, recipe, 0), count))

    return drawn


def sequences(batches: list[Batch]) -> list[list[int]]:
    """Whole sequences that begin a row."""
    rows = [row for batch in batches for row in batch.inputs.tolist() if END in row]
    return [row[: row.index(END)] for row in rows]


def test_labels_are_the_inputs_shifted_and_padding_is_ignored(draw) -> None:  # type: ignore[no-untyped-def]
    for batch in draw(fim_share=0.6, context_share=0.5):
        assert batch.inputs.shape == batch.labels.shape == (4, 768)
        for inputs, labels in zip(batch.inputs, batch.labels, strict=True):
            known = labels[:-1] != IGNORED
            assert np.array_equal(labels[:-1][known], inputs[1:][known])
            assert known.mean() > 0.8


def test_infilling_shows_first_what_follows_the_text(  # type: ignore[no-untyped-def]
    draw, learned: Tokenizer, documents: list[Document]
) -> None:
    found = [s for s in sequences(draw(fim_share=1.0)) if s[0] == SUFFIX]
    assert len(found) > 20
    lines = 0
    for sequence in found:
        at = sequence.index(PREFIX)
        suffix, text = learned.decode(sequence[1:at]), learned.decode(sequence[at + 1 :])
        assert at - 1 <= 50
        assert any((text + suffix).rstrip("\ufffd") in document.text for document in documents)
        lines += suffix.startswith("\n") or not suffix
    assert lines > 0.6 * len(found)


def test_plain_sequences_have_no_infilling_tokens(draw) -> None:  # type: ignore[no-untyped-def]
    for batch in draw(fim_share=0.0):
        assert not np.isin(batch.inputs, [PREFIX, SUFFIX, FILE]).any()


def test_chunks_that_are_alike_come_first_and_are_not_of_the_text(  # type: ignore[no-untyped-def]
    draw, learned: Tokenizer, documents: list[Document]
) -> None:
    shown = 0
    for sequence in sequences(draw(fim_share=1.0, context_share=1.0, count=40)):
        if FILE not in sequence:
            continue
        parts: list[list[int]] = [[]]
        for token in sequence[sequence.index(PREFIX) + 1 :]:
            if token == FILE:
                parts.append([])
            else:
                parts[-1].append(token)
        *chunks, own = (learned.decode(part) for part in parts[1:])
        text = own.partition("\n")[2]
        for chunk in chunks:
            path, _, body = chunk.partition("\n")
            assert any(body in document.text for document in documents if document.path == path)
            assert body not in text
            shown += 1
    assert shown > 10


def test_the_same_seed_gives_the_same_batches(draw) -> None:  # type: ignore[no-untyped-def]
    first, second = draw(fim_share=0.6), draw(fim_share=0.6)
    assert all(np.array_equal(a.inputs, b.inputs) for a, b in zip(first, second, strict=True))
