from dataclasses import replace

import pytest

from p2assist.experience import Task
from p2assist.tasks.functions import functions
from p2assist.tasks.splits import Split, function_key, split, without

BODY = """
    best = None
    for item in items:
        if best is None or item.price < best.price:
            best = item
    return best
"""
FILE = (
    "def keep_one(a):\n    return a + 1\n\n"
    f"def hold_me(items):{BODY}\n"
    "def train_me(x):\n    y = x\n    return y * 2\n"
)


def task_in(name: str, text: str) -> Task:
    function = next(f for f in functions(FILE) if f.name == name)
    start = FILE.index(text, function.start)
    return Task("shop.py", FILE, start, start + len(text), function=name)


def split_holding(name: str) -> Split:
    """A split by hand: the first seed that holds out just this function."""
    keys = [f"shop.py::{f.name}" for f in functions(FILE)]
    for seed in range(1000):
        made = Split(0.3, seed)
        if [key for key in keys if made.held_out(key)] == [f"shop.py::{name}"]:
            return made
    raise AssertionError("no seed holds out just that one")


def test_share_is_met_and_stable() -> None:
    made = Split(0.3, seed=1)
    held = [made.held_out(f"a.py::f{i}") for i in range(4000)]
    assert 0.27 < sum(held) / len(held) < 0.33
    assert held == [Split(0.3, seed=1).held_out(f"a.py::f{i}") for i in range(4000)]
    assert held != [Split(0.3, seed=2).held_out(f"a.py::f{i}") for i in range(4000)]


def test_adding_a_function_moves_no_other() -> None:
    files = [("shop.py", FILE)]
    more = [*files, ("other.py", "def new(a):\n    return a\n")]
    for function in functions(FILE):
        key = f"shop.py::{function.name}"
        assert split(files).held_out(key) == split(more).held_out(key)


def test_a_copy_of_a_held_out_function_is_barred() -> None:
    made = split_holding("hold_me")
    copy = f'def cheapest(items):\n    """Another docstring."""{BODY}'
    for place in range(50):
        path = f"copy{place}.py"
        if not made.held_out(f"{path}::cheapest"):
            break
    found = split([("shop.py", FILE), (path, copy)], made.share, made.seed)
    assert found.barred == {f"{path}::cheapest"}
    assert not found.may_train(f"{path}::cheapest")
    assert found.may_train("shop.py::train_me")


def test_without_cuts_the_held_out_text_and_keeps_the_span() -> None:
    made = split_holding("hold_me")
    for name, text in (("keep_one", "return a + 1"), ("train_me", "return y * 2")):
        cut = without(task_in(name, text), made)
        assert "best" not in cut.source
        assert "keep_one" in cut.source
        assert "train_me" in cut.source
        assert cut.reference == text


def test_without_refuses_a_held_out_task() -> None:
    with pytest.raises(ValueError, match="held out"):
        without(task_in("hold_me", "return best"), split_holding("hold_me"))


def test_without_cuts_barred_text_too() -> None:
    made = replace(split_holding("hold_me"), barred=frozenset({"shop.py::keep_one"}))
    assert "keep_one" not in without(task_in("train_me", "return y * 2"), made).source


def test_key_names_path_and_function() -> None:
    assert function_key(task_in("keep_one", "return a + 1")) == "shop.py::keep_one"
    assert function_key(Task("shop.py", "x = 1\n", 0, 1)) == "shop.py"
