"""A small corpus with a tokenizer of its own."""

from __future__ import annotations

import inspect

import pytest
from tokenizers import Tokenizer

from p2assist.pocket.build import batches, corpus, sources, tokenizer
from p2assist.pocket.build.corpus import Document
from p2assist.pocket.build.pack import Packed, pack
from p2assist.pocket.build.recipe import TokenizerRecipe

MODULES = (batches, corpus, sources)


@pytest.fixture(scope="session")
def documents() -> list[Document]:
    return [
        Document("demo", f"demo/{module.__name__.rpartition('.')[2]}.py", inspect.getsource(module))
        for module in MODULES
    ] + [Document("other", "other/lines.py", "".join(f"x{i} = {i}\n" for i in range(90)))]


@pytest.fixture(scope="session")
def learned(documents: list[Document]) -> Tokenizer:
    return tokenizer.learn(TokenizerRecipe(vocabulary=600), [d.text for d in documents])


@pytest.fixture(scope="session")
def packed(documents: list[Document], learned: Tokenizer) -> Packed:
    return pack(documents, learned)
