"""The map that is kept up to date is the map that would be made anew."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from p2assist.config import Config
from p2assist.experience import Outcome
from p2assist.harness import impact, rounds
from p2assist.harness.impact import ImpactMap
from p2assist.harness.suite import Suite

from .helpers import settings, write

BASKET = {
    "basket/__init__.py": "from basket.items import Item, price\n",
    "basket/items.py": """
        import functools
        from basket import rates

        class Item:
            def __init__(self, name, cents):
                self.name = name
                self.cents = cents

            def total(self):
                if self.cents < 0:
                    raise ValueError(self.name)
                return rates.taxed(self.cents)

        def price(cents):
            return f"{cents / 100:.2f}"

        @functools.cache
        def table():
            return made()

        def made():
            return {"a": 1}

        def unused():
            return 0
        """,
    "basket/rates.py": """
        def factor():
            return 2

        RATE = factor()

        def taxed(cents):
            return cents * RATE
        """,
    "basket/apart.py": """
        def alone():
            return 1
        """,
    "tests/conftest.py": """
        import pytest
        from basket.items import Item

        @pytest.fixture(scope="session")
        def item():
            return Item("a", 100)

        @pytest.fixture
        def dear():
            return Item("dear", 10**6)
        """,
    "tests/test_items.py": """
        import pytest
        from basket import Item, price
        from basket.items import table

        def test_total(item):
            assert item.total() == 200

        def test_dear(dear):
            assert dear.total() == 2 * 10**6

        @pytest.mark.parametrize("cents", [0, 1, 99])
        def test_price(cents):
            assert price(cents) == f"0.{cents:02d}"

        class TestTable:
            def test_first(self):
                assert table()["a"] == 1

            def test_second(self):
                assert table()

        def test_negative():
            with pytest.raises(ValueError):
                Item("n", -1).total()
        """,
    "tests/test_apart.py": """
        def test_alone():
            from basket.apart import alone
            assert alone() == 1
        """,
}

Edit = tuple[str, str, str]  # path, what stood there, what stands there now
EDITS: dict[str, list[Edit]] = {
    "a body": [("basket/items.py", 'return f"{cents / 100:.2f}"', 'return "%.2f" % (cents / 100)')],
    "a comment and blank lines": [
        ("basket/items.py", "def price", "# the price\n\n\ndef price"),
        ("basket/items.py", "        if self.cents", "        # never\n        if self.cents"),
    ],
    "a body that calls something else": [
        (
            "basket/apart.py",
            "return 1",
            "from basket.items import price\n    return len(price(1)) - 3",
        )
    ],
    "a new function, and a test of it": [
        ("basket/items.py", "def made", "def twice(x):\n    return x + x\n\ndef made"),
        (
            "tests/test_apart.py",
            "def test_alone",
            "def test_twice():\n    from basket.items import twice\n"
            "    assert twice(2) == 4\n\ndef test_alone",
        ),
    ],
    "more cases": [("tests/test_items.py", "[0, 1, 99]", '[0, 1, 50, "é [x]"]')],
    "a changed fixture": [
        ("tests/conftest.py", '"dear", 10**6', '"dear", price(1) and 10**6'),
        ("tests/conftest.py", "import Item", "import Item, price"),
    ],
    "a session's fixture": [
        ("tests/conftest.py", 'return Item("a", 100)', 'return Item("b", 100)')
    ],
    "what runs at import": [("basket/rates.py", "return 2", "x = 2\n    return x")],
    "a constant": [("basket/rates.py", "RATE = factor()", "RATE = 1 + 1")],
    "a test that goes": [("tests/test_items.py", "def test_negative", "def no_test_negative")],
    "a test that fails": [
        ("tests/test_apart.py", "def test_alone", "def test_new():\n    assert 0\n\ndef test_alone")
    ],
    "what a cache holds": [("basket/items.py", '{"a": 1}', '{"a": len("1")}')],
    "a function that comes between": [
        (
            "basket/items.py",
            "return made()",
            "return made_by(1)\n\ndef made_by(n):\n    return made()",
        )
    ],
    "an override": [
        (
            "basket/apart.py",
            "def alone",
            "class A:\n    def f(self): return 1\n\nclass B(A):\n    pass\n\ndef alone",
        ),
        ("basket/apart.py", "return len(price(1)) - 3", "return B().f()"),
    ],
    "and now it overrides": [("basket/apart.py", "    pass", "    def f(self): return 1")],
}


def same(one: ImpactMap, other: ImpactMap) -> None:
    def told(known: ImpactMap) -> list[object]:
        return [replace(test, seconds=0, looked=0) for test in known.tests]

    assert told(one) == told(other)
    assert dict(one.files) == dict(other.files)
    assert one.coverage == other.coverage
    assert (one.uncollected, one.held) == (other.uncollected, other.held)


@pytest.fixture(scope="module", autouse=True)
def _few_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "_QUICK", 0.0)
        yield


@pytest.fixture(scope="module")
def basket(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, ImpactMap]:
    config = settings(write(tmp_path_factory.mktemp("basket") / "repo", BASKET))
    known = impact.build(config)
    known.save(config)
    return config, known


@pytest.fixture
def copied(basket: tuple[Config, ImpactMap], tmp_path: Path) -> tuple[Config, ImpactMap]:
    """A copy that may be changed, with the map."""
    shutil.copytree(basket[0].root, tmp_path / "repo")
    return settings(tmp_path / "repo"), basket[1]


def edit(config: Config, edits: list[Edit]) -> None:
    for path, before, after in edits:
        text = (config.root / path).read_text()
        assert before in text
        (config.root / path).write_text(text.replace(before, after))


def test_it_is_the_map_made_anew_after_each_of_many_edits(
    copied: tuple[Config, ImpactMap],
) -> None:
    config, known = copied
    for number, (name, edits) in enumerate(EDITS.items(), 1):
        edit(config, edits)
        known = impact.update(config, known)
        assert known.fresh(config.root), name
        if number % 3 == 0:
            same(known, impact.build(config))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The tests of each run that came to their end."""
    seen: list[set[str]] = []
    run = Suite.run

    def spy(self: Suite, *args: Any, **named: Any) -> Any:
        transcript, ending = run(self, *args, **named)
        seen.append({name(t) for t in transcript.items if transcript.reported(t)})
        return transcript, ending

    monkeypatch.setattr(Suite, "run", spy)
    return seen


def name(node_id: str) -> str:
    return node_id.partition("::")[2]


def test_only_what_can_be_affected_runs(
    copied: tuple[Config, ImpactMap], ran: list[set[str]]
) -> None:
    config, known = copied
    assert impact.update(config, known) == known
    edit(config, EDITS["a comment and blank lines"])
    known = impact.update(config, known)
    assert ran == []
    edit(config, EDITS["a body"])
    known = impact.update(config, known)
    assert ran == [{"test_price[0]", "test_price[1]", "test_price[99]"}] * 2
    ran.clear()
    edit(config, EDITS["what a cache holds"])
    known = impact.update(config, known)
    assert ran == [{"TestTable::test_first", "TestTable::test_second"}] * 2
    ran.clear()
    edit(config, EDITS["more cases"])
    known = impact.update(config, known)
    assert set().union(*ran) == {f"test_price[{n}]" for n in (0, 1, 50)} | {"test_price[\\xe9 [x]]"}
    ran.clear()
    edit(config, EDITS["a constant"])
    known = impact.update(config, known)
    assert ran[0] == {name(test.node_id) for test in known.tests}
    ran.clear()
    (config.root / "basket/lonely.py").write_text("def f():\n    return 1\n")
    known = impact.update(config, known)
    assert ran == [set()]


def test_half_written_files_stay_as_they_were(
    copied: tuple[Config, ImpactMap], ran: list[set[str]]
) -> None:
    config, known = copied
    edit(config, [("basket/items.py", "return made()", "return made(")])
    edit(config, EDITS["a body that calls something else"])
    after = impact.update(config, known)
    assert ran == [{"test_alone"}] * 2
    assert set(after.held) == {"basket/items.py"}
    assert after.files["basket/items.py"] == known.files["basket/items.py"]
    assert after.coverage["basket/items.py"] != known.coverage["basket/items.py"]  # test_alone
    assert after.fresh(config.root)
    text = (config.root / "basket/items.py").read_text()
    line = text[: text.index("made(")].count("\n") + 1
    found = [name(t.node_id) for t in after.evidence("basket/items.py", text, line, line)]
    assert found == ["TestTable::test_first", "TestTable::test_second"]
    ran.clear()
    edit(config, [("basket/items.py", "return made(\n", "return made()\n")])
    whole = impact.update(config, after)
    assert whole.held == {}
    assert ran == []
    same(whole, impact.build(config))


def test_what_breaks_tests_is_held_until_it_is_mended(copied: tuple[Config, ImpactMap]) -> None:
    config, known = copied
    edit(config, [("basket/items.py", "self.cents < 0", "self.cents < 1000")])
    edit(config, EDITS["more cases"])
    held = impact.update(config, known)
    assert set(held.held) == {"basket/items.py"}
    assert held.by_id["tests/test_items.py::test_total"].outcome is Outcome.PASSED
    assert "tests/test_items.py::test_price[50]" in held.by_id
    assert held.fresh(config.root)
    assert impact.update(config, held) == held
    edit(config, [("tests/test_items.py", "assert item.total() == 200", "assert item")])
    mended = impact.update(config, held)
    assert mended.held == {}
    same(mended, impact.build(config))


def test_a_broken_conftest_or_import_is_held(copied: tuple[Config, ImpactMap]) -> None:
    config, known = copied
    edit(config, [("tests/conftest.py", "import pytest", "import pytest, nothing_like_it")])
    edit(config, [("basket/apart.py", "def alone", "from basket.items import missing\ndef alone")])
    held = impact.update(config, known)
    assert set(held.held) == {"tests/conftest.py", "basket/apart.py"}
    same(replace(held, held={}), known)
    assert held.fresh(config.root)


def test_a_test_of_what_is_not_there_yet_may_be_gained(copied: tuple[Config, ImpactMap]) -> None:
    config, known = copied
    (config.root / "tests/test_new.py").write_text(
        "from basket.items import half\n\ndef test_half():\n    assert half(4) == 2\n"
    )
    known = impact.update(config, known)
    test = known.by_id["tests/test_new.py::test_half"]
    assert (test.outcome, test.counts, test.may_tell) == (Outcome.ERROR, False, True)
    assert "half" in test.message
    edit(config, [("basket/items.py", "def made", "def half(x):\n    return 2\n\ndef made")])
    known = impact.update(config, known)
    assert known.by_id["tests/test_new.py::test_half"].counts is True


def test_a_quarantined_test_is_let_back_after_two_clean_looks(
    copied: tuple[Config, ImpactMap], ran: list[set[str]]
) -> None:
    config, known = copied
    shaky, *others = known.tests
    marked = replace(shaky, unstable="passed in order, failed in reverse", looked=0.0)
    known = replace(known, tests=(marked, *others))
    first = impact.update(config, known)
    assert ran == [{name(shaky.node_id)}] * 3
    assert (first.tests[0].unstable, first.tests[0].clean) == (marked.unstable, 1)
    assert first.tests[0].looked > 0
    assert impact.update(config, first) == first
    second = impact.update(
        config, replace(first, tests=(replace(first.tests[0], looked=0.0), *others))
    )
    assert second.tests[0].counts
