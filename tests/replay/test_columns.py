"""Columns say of every row what the experience itself says."""

from __future__ import annotations

import numpy as np

from p2assist.experience import Source
from p2assist.p2value import PRESETS
from p2assist.replay.columns import Columns
from p2assist.replay.store import Store
from p2assist.replay.tables import SOURCES


def test_an_empty_store(store: Store) -> None:
    columns = store.columns()
    assert len(columns) == 0
    assert columns.pass_rate.shape == columns.p2values(PRESETS["default"]).shape == (0,)


def test_columns_agree_with_the_experiences(store: Store, make) -> None:
    other = make.task(1, path="b.py", function="")
    store.add(
        [
            make.experience("a", report=make.report("P", "F"), logprob=-3.5, num_tokens=7),
            make.experience("b", at=other, source=Source.KEPT),
        ]
    )
    store.add([make.experience("c", adapter="tuned", report=make.report("N"))], person="ann")
    store.add([make.experience("d", report=make.report("F"))])
    store.add([make.experience("a", report=make.report("P", "P", "F", "F"))])  # tested again
    columns = store.columns()
    found = store.fetch(columns.id.tolist())
    assert [e.candidate.text for e in found] == list("abcd")
    assert columns.logprob.tolist() == [e.candidate.logprob for e in found]
    assert columns.num_tokens.tolist() == [e.candidate.num_tokens for e in found]
    rates = [np.nan if e.pass_rate is None else e.pass_rate for e in found]
    np.testing.assert_array_equal(columns.pass_rate, rates)
    assert columns.passed.tolist() == [2, 0, 0, 0]
    assert columns.total.tolist() == [4, 0, 0, 1]
    assert columns.tested.tolist() == [True, False, False, True]
    assert columns.source.tolist() == [SOURCES[e.source] for e in found]
    assert [columns.keys[i] for i in columns.function.tolist()] == [
        "shop/cart.py::total0",
        "b.py",
        "shop/cart.py::total0",
        "shop/cart.py::total0",
    ]
    assert [columns.paths[i] for i in columns.function.tolist()] == [e.task.path for e in found]
    assert [columns.names[i] for i in columns.maker.tolist()] == [
        ("m", e.candidate.adapter) for e in found
    ]
    assert (columns.person > 0).tolist() == [False, False, True, False]
    assert columns.tests.tolist()[1] == -1
    tests = store.tests([i for i in columns.tests.tolist() if i >= 0])
    for i, one in zip(columns.tests.tolist(), found, strict=True):
        if one.report:
            assert [t.node_id for t in tests[i]] == [o.node_id for o in one.report.outcomes]


def test_a_report_after_others_belongs_to_its_candidate(store: Store, make) -> None:
    """Reports come in another order than candidates."""
    many = [make.experience(f"return {i}") for i in range(20)]
    store.add(many)
    for i in (13, 2, 19, 2):
        store.add([make.experience(f"return {i}", report=make.report(*"P" * (i + 1)))])
    assert np.flatnonzero(store.columns().tested).tolist() == [2, 13, 19]
    assert store.columns().total[[2, 13, 19]].tolist() == [3, 14, 20]


def test_take() -> None:
    names = ("id", "task", "function", "maker", "person", "source", "num_tokens", "passed", "total")
    full = Columns(
        **dict.fromkeys(names, np.arange(3)),
        tests=np.arange(3),
        logprob=np.array([-1.0, -2.0, -3.0]),
        keys={1: "k"},
    )
    some = full.take(np.array([True, False, True]))
    assert some.id.tolist() == [0, 2]
    assert some.logprob.tolist() == [-1.0, -3.0]
    assert full.take(np.array([2, 2])).tests.tolist() == [2, 2]
    assert some.keys == {1: "k"}
