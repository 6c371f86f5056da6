from __future__ import annotations

import pytest
from p2assist_lsp.quiet import Expectation, Unwanted, reason
from p2assist_lsp.settings import Settings

from p2assist.experience import Task

CODE = "x = 1  # a note\ny = 'words'\nprint(x)\n"


@pytest.mark.parametrize(
    ("before", "settings", "why"),
    [
        ("pri", Settings(), "within a word"),
        ("# a ", Settings(), "within a word"),
        ("# a note", Settings(), ""),
        ("# a note", Settings(in_comments=False), "in a comment"),
        ("y = 'words", Settings(), ""),
        ("y = 'words", Settings(in_strings=False), "in a string"),
        ("y = 'words'", Settings(in_strings=False, in_comments=False), ""),
    ],
)
def test_when_nothing_is_offered(before: str, settings: Settings, why: str):
    at = CODE.index(before) + len(before)
    assert reason(CODE, at, settings, invoked=False) == why
    asked = why if why == "within a word" else ""  # a person who asks is answered elsewhere
    assert reason(CODE, at, settings, invoked=True) == asked


def place(source: str, path: str = "a.py") -> Task:
    return Task(path, source, len(source), len(source))


def test_a_rejected_text_is_unwanted_at_its_place_and_nowhere_else():
    unwanted = Unwanted()
    assert not unwanted.at(place("x = "))("1")
    unwanted.add(place("x = "), "foo(1)")
    assert unwanted.at(place("x = "))("foo(1)")
    assert unwanted.at(place("x = "))(" foo(1) ")
    assert unwanted.at(place("x = fo"))("o(1)")  # typing a part of it does not bring it back
    assert not unwanted.at(place("x = "))("foo(2)")
    assert not unwanted.at(place("y = "))("foo(1)")
    assert not unwanted.at(place("x = ", "b.py"))("foo(1)")
    assert not unwanted.at(place("x = \n"))("foo(1)")


def test_the_oldest_places_are_forgotten():
    unwanted = Unwanted()
    for number in range(501):
        unwanted.add(place(f"x{number} = "), "1")
    assert not unwanted.at(place("x0 = "))("1")
    assert unwanted.at(place("x1 = "))("1")


def test_low_is_what_was_shown_often_and_hardly_ever_taken():
    fitted = Expectation()
    assert not fitted.low(0.35)
    for _ in range(19):
        fitted.learn(0.31, taken=False)
    assert not fitted.low(0.35)
    fitted.learn(0.39, taken=False)
    assert fitted.low(0.35)
    assert not fitted.low(0.45)  # others are known by their own
    for _ in range(2):
        fitted.learn(0.3, taken=True)
    assert not fitted.low(0.35)
    fitted.learn(1.0, taken=True)  # the last bin holds it
    assert not fitted.low(1.0)
