from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from p2assist.pocket.build.corpus import Document
from p2assist.pocket.build.pack import Packed


def texts(packed: Packed, learned: Tokenizer) -> list[str]:
    starts = packed.starts
    return [learned.decode(packed.ids[first:stop].tolist()) for first, stop in pairwise(starts)]


def test_every_document_is_there_with_its_path_and_package(
    packed: Packed, learned: Tokenizer, documents: list[Document]
) -> None:
    assert texts(packed, learned) == [document.text for document in documents]
    paths = [learned.decode(packed.path(i).tolist()) for i in range(len(packed))]
    assert paths == [f"{document.path}\n" for document in documents]
    assert packed.packages.tolist() == [0, 0, 0, 1]


def test_a_file_holds_all_and_several_follow_one_another(
    packed: Packed, learned: Tokenizer, tmp_path: Path
) -> None:
    file = tmp_path / "packed.npz"
    packed.save(file)

    once, twice = Packed.load(file), Packed.load(file, file)

    assert [f.name for f in tmp_path.iterdir()] == ["packed.npz"]
    for field in fields(Packed):
        assert np.array_equal(getattr(once, field.name), getattr(packed, field.name))
    assert texts(twice, learned) == 2 * texts(packed, learned)
    assert twice.packages.tolist() == [0, 0, 0, 1, 2, 2, 2, 3]
    assert learned.decode(twice.path(7).tolist()) == "other/lines.py\n"
