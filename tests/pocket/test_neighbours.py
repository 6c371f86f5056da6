from __future__ import annotations

import random
import string

import pytest
from tokenizers import Tokenizer

from p2assist.pocket.build import tokenizer
from p2assist.pocket.build.corpus import Document
from p2assist.pocket.build.layout import Endings, Layout
from p2assist.pocket.build.pack import Packed, pack
from p2assist.pocket.build.recipe import TokenizerRecipe

pytestmark = pytest.mark.model


def words(seed: int) -> str:
    """Forty lines of words that no other seed has."""
    random_ = random.Random(seed)
    names = ("".join(random_.choices(string.ascii_lowercase, k=7)) for _ in range(40))
    return "".join(f"{name} = compute({name})\n" for name in names)


@pytest.fixture(scope="module")
def alike() -> tuple[Packed, Tokenizer]:
    documents = [
        Document("demo", f"demo/{name}.py", words(seed))
        for name, seed in (("a", 1), ("b", 2), ("c", 3), ("d", 1))
    ] + [Document("other", "other/a.py", words(1))]
    learned = tokenizer.learn(TokenizerRecipe(vocabulary=400), [d.text for d in documents])
    return pack(documents, learned), learned


def test_the_likest_chunk_is_of_the_file_that_says_the_same(
    alike: tuple[Packed, Tokenizer],
) -> None:
    from p2assist.pocket.build.neighbours import NEIGHBOURS, neighbours

    packed, learned = alike
    layout = Layout.of(packed, Endings.of(learned))
    found = neighbours(packed, layout, learned)
    documents = layout.chunk_documents
    assert found.shape == (len(documents), NEIGHBOURS)
    copies = 0
    for chunk, document in enumerate(documents):
        if document in (0, 3) and found[chunk, 0] >= 0:
            assert documents[found[chunk, 0]] == 3 - document
            copies += 1
        others = [n for n in found[chunk] if n >= 0]
        assert all(packed.packages[documents[n]] == packed.packages[document] for n in others)
        assert not any(documents[n] == document and abs(n - chunk) <= 1 for n in others)
    assert copies >= 4
