from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from p2assist.generation.cache import LEAST, PrefixCache, shared


@dataclass
class Tokens:
    """A memory that is the tokens themselves, ten bytes each."""

    held: list[int] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        return 10 * len(self.held)

    def cut(self, size: int) -> None:
        del self.held[size:]

    def copy(self, size: int) -> Tokens:
        return Tokens(self.held[:size])


def ask(cache: PrefixCache[Tokens], ids: list[int]) -> int:
    """As a model does; returns how many tokens it had to compute."""
    memory, done = cache.take(ids) or (Tokens(), 0)
    assert memory.held == ids[:done], "it remembers other tokens"
    memory.held += ids[done:]
    cache.put(ids, memory)
    return len(ids) - done


FILE = list(range(100))


def test_a_keystroke_costs_its_own_tokens() -> None:
    cache: PrefixCache[Tokens] = PrefixCache(10_000)
    assert ask(cache, FILE) == 100
    assert ask(cache, [*FILE, 7]) == 1
    assert ask(cache, [*FILE[:98], 8, 9]) == 2
    assert len(cache) == 1


def test_the_last_token_is_computed_again_for_its_logits() -> None:
    cache: PrefixCache[Tokens] = PrefixCache(10_000)
    ask(cache, FILE)
    assert ask(cache, FILE) == 1


def test_several_documents_are_kept_and_the_oldest_forgotten() -> None:
    one, two, three = FILE, [*range(200, 300)], [*range(400, 500)]
    cache: PrefixCache[Tokens] = PrefixCache(2_100)
    for ids in (one, two, one):
        ask(cache, ids)
    assert ask(cache, [*one, 1]) == 1
    assert ask(cache, three) == 100
    assert cache.nbytes <= 2_100
    assert ask(cache, [*one, 1]) == 1
    assert ask(cache, two) == 100


def test_a_short_common_beginning_leaves_the_longer_document_as_it_is() -> None:
    cache: PrefixCache[Tokens] = PrefixCache(10_000)
    ask(cache, FILE)
    assert ask(cache, [*FILE[:40], *range(900, 960)]) == 60
    assert len(cache) == 2
    assert ask(cache, [*FILE, 5]) == 1


def test_hardly_anything_in_common_is_nothing() -> None:
    cache: PrefixCache[Tokens] = PrefixCache(10_000)
    ask(cache, FILE)
    assert cache.take([*FILE[: LEAST - 1], 900, 901]) is None


def test_what_is_larger_than_the_budget_is_kept_alone() -> None:
    cache: PrefixCache[Tokens] = PrefixCache(10)
    ask(cache, FILE)
    assert ask(cache, [*FILE, 1]) == 1


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=40), max_size=12))
def test_whatever_is_asked_it_never_remembers_other_tokens(prompts: list[list[int]]) -> None:
    cache: PrefixCache[Tokens] = PrefixCache(600)
    for ids in prompts:
        ask(cache, ids)
        assert cache.nbytes <= 600 or len(cache) == 1


def test_shared_is_the_common_prefix() -> None:
    assert shared([1, 2, 3], [1, 2, 4, 5]) == 2
    assert shared([], [1]) == shared([2], [1]) == 0
