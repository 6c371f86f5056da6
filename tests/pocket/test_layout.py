from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer

from p2assist.pocket.build.layout import CHUNK, Endings, Layout
from p2assist.pocket.build.pack import Packed


def test_a_token_that_ends_a_line_is_cut_into_what_ends_and_newlines(learned: Tokenizer) -> None:
    endings = Endings.of(learned)
    assert endings.before
    for token, before in endings.before.items():
        text = learned.decode([token], skip_special_tokens=False)
        assert endings.ends[token]
        assert text.endswith("\n")
        assert learned.decode(before) == text.rstrip("\n")
        assert learned.decode(before + endings.newlines[token]) == text


def test_lines_begin_and_end_where_the_text_says(packed: Packed, learned: Tokenizer) -> None:
    layout = Layout.of(packed, Endings.of(learned))
    for start in layout.line_starts:
        before = learned.decode(packed.ids[max(0, start - 3) : start].tolist())
        assert start in packed.starts or before.endswith("\n")
    text = learned.decode(packed.ids.tolist())
    # A token may hold several newlines: what it ends counts as one line.
    assert len(layout.line_starts) <= text.count("\n")
    assert np.all(np.diff(layout.line_starts) > 0)


def test_chunks_begin_with_a_line_and_stay_within_their_document(
    packed: Packed, learned: Tokenizer
) -> None:
    layout = Layout.of(packed, Endings.of(learned))
    assert set(layout.chunk_starts) <= set(layout.line_starts)
    assert set(packed.starts[:-1]) <= set(layout.chunk_starts)
    sizes = np.diff(np.append(layout.chunk_starts, len(packed.ids)))
    assert 0.5 * CHUNK < sizes.mean() < 1.5 * CHUNK
    for chunk, start in enumerate(layout.chunk_starts):
        document = layout.chunk_documents[chunk]
        assert packed.starts[document] <= start < packed.starts[document + 1]
        assert layout.chunk_at(int(start)) == chunk
        assert layout.chunk_at(int(start) + 1) == chunk
