"""What may be drawn: tested, fresh, not held out, not too much of one kind."""

from __future__ import annotations

import pytest

from p2assist.errors import ConfigError, StoreError
from p2assist.experience import Source
from p2assist.p2value import PRESETS
from p2assist.replay.buffer import Buffer, Caps, Excluded
from p2assist.replay.store import Store


def _texts(store: Store, buffer: Buffer) -> set[str]:
    return {e.candidate.text for e in store.fetch(buffer.columns.id.tolist())}


def test_an_empty_store_gives_an_empty_batch(store: Store) -> None:
    buffer = Buffer(store)
    assert len(buffer) == 0
    assert buffer.sample(10, seed=0) == []


def test_the_untested_stay_out(store: Store, make) -> None:
    store.add([make.experience("a"), make.experience("b", report=make.report("N"))])
    store.add([make.experience("c", report=make.report("F"))])
    buffer = Buffer(store)
    assert _texts(store, buffer) == {"c"}
    assert buffer.excluded == Excluded(untested=2)


def test_samples_are_the_stores_own_and_repeatable(store: Store, make) -> None:
    many = [make.experience(f"{i}", report=make.report("P" if i % 2 else "F")) for i in range(20)]
    store.add(many)
    buffer = Buffer(store, PRESETS["default"], beta=0.5)
    batch = buffer.sample(64, seed=3)
    assert len(batch) == 64
    assert all(e in many and 0 < weight <= 1 for e, weight in batch)
    assert batch == Buffer(store, beta=0.5).sample(64, seed=3)
    assert batch != buffer.sample(64, seed=4)
    passing = sum(e.pass_rate == 1 for e, _ in buffer.sample(400, seed=5))
    assert passing > 240  # priority by P2Value: possibilities are all the same here


def test_held_out_functions_stay_out(store: Store, make) -> None:
    store.add([make.experience(f"{i}", at=make.task(i), report=make.report("P")) for i in range(4)])
    asked: list[str] = []

    def keep(key: str) -> bool:
        asked.append(key)
        return key != "shop/cart.py::total2"

    buffer = Buffer(store, keep=keep)
    assert _texts(store, buffer) == {"0", "1", "3"}
    assert buffer.excluded.held_out == 1
    assert len(asked) == 4  # once a function, not once a row


def test_stale_reports_stay_out(store: Store, make) -> None:
    store.add(
        [
            make.experience("fresh", report=make.report("P")),
            make.experience("changed", report=make.report("P", digest="old")),
            make.experience("gone", report=make.report("P", "P")),
            make.experience("unknown", at=make.task(tests=()), report=make.report("P", digest="")),
        ]
    )
    buffer = Buffer(store, digests={"t.py::test_0": "d1", "t.py::other": "d9"})
    assert _texts(store, buffer) == {"fresh"}
    assert buffer.excluded.stale == 3
    assert len(Buffer(store)) == 4  # without digests nothing can be stale


def test_a_new_report_makes_it_fresh_again(store: Store, make) -> None:
    for digest in ("old", "d1"):
        store.add([make.experience("a", report=make.report("P", digest=digest))])
    assert len(Buffer(store, digests={"t.py::test_0": "d1"})) == 1
    assert len(Buffer(store, digests={"t.py::test_0": "old"})) == 0


def test_sources(store: Store, make) -> None:
    for source in Source:
        store.add([make.experience(source.value, source=source, report=make.report("P"))])
    assert _texts(store, Buffer(store, sources=[Source.SELF, Source.KEPT])) == {"self", "kept"}
    assert Buffer(store, sources=[Source.TEACHER]).excluded.source == 3


def test_caps_keep_the_newest(store: Store, make) -> None:
    store.add(
        [
            make.experience(
                f"{n}{i}", at=make.task(n, path=f"{n // 2}.py"), report=make.report("P")
            )
            for i in range(5)
            for n in range(3)
        ]
    )
    by_function = Buffer(store, caps=Caps(function=2))
    assert _texts(store, by_function) == {f"{n}{i}" for n in range(3) for i in (3, 4)}
    assert by_function.excluded.capped == 9
    by_path = Buffer(store, caps=Caps(path=3))
    assert _texts(store, by_path) == {"13", "04", "14", "22", "23", "24"}
    both = Buffer(store, caps=Caps(function=4, path=3, source=4))
    assert _texts(store, both) == {"14", "04", "23", "24"}
    assert len(Buffer(store, caps=Caps(function=0, path=0))) == 15


def test_a_person_is_capped_and_nobody_is_not(store: Store, make) -> None:
    for person in ("ann", "bob", ""):
        made = [make.experience(f"{person}{i}", report=make.report("P")) for i in range(4)]
        store.add(made, person=person)
    buffer = Buffer(store, caps=Caps(person=1))
    assert _texts(store, buffer) == {"ann3", "bob3", "0", "1", "2", "3"}


def test_a_bad_cap_is_named() -> None:
    with pytest.raises(ConfigError, match="cap path = -1"):
        Caps(path=-1)


def test_what_was_forgotten_since_is_said(store: Store, make) -> None:
    store.add([make.experience(report=make.report("P"))])
    buffer = Buffer(store)
    store.forget(path="shop/cart.py")
    with pytest.raises(StoreError, match="not in the store any more"):
        buffer.sample(1, seed=0)
