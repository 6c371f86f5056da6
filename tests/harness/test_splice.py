from __future__ import annotations

from textwrap import dedent

import pytest

from p2assist.harness.splice import differing, splice

GREEN = dedent('''
    """A module."""
    import os


    def f(a):
        return a


    class A:
        def m(self):
            return 1

        def n(self):
            return 2


    def g():
        return f(1)
    ''').lstrip()


def made(text: str, name: str) -> dict[str, object]:
    result = splice(GREEN, text, name)
    assert result is not None
    space: dict[str, object] = {}
    exec(result, space)
    return space


def test_a_function_is_put_in_the_place_of_its_old_self() -> None:
    text = GREEN.replace("return a", "return a + 1").replace("return f(1)", "return f(")
    assert splice(GREEN, text, "f") == GREEN.replace("return a", "return a + 1")
    text = "# more\n" + GREEN.replace("return 2", "return 3").replace("return 1", "return (")
    assert splice(GREEN, text, "A.n") == GREEN.replace("return 2", "return 3")


def test_what_it_newly_uses_comes_with_it_and_nothing_else() -> None:
    text = (
        GREEN.replace("import os", "import os\nimport json\nimport nothing_like_it")
        .replace("return a", "return json.dumps(half(a))")
        .replace("return f(1)", "return f(")
        .replace("def g", "LIMIT = 2\n\n\ndef half(x):\n    return x / LIMIT\n\n\ndef g")
    )
    space = made(text, "f")
    assert space["f"](3) == "1.5"  # type: ignore[operator]
    assert space["g"]() == "0.5"  # type: ignore[operator]
    assert "nothing_like_it" not in space


@pytest.mark.parametrize(
    ("before", "after", "name", "call"),
    [
        ("def g", "def new():\n    return 5\n\n\ndef (\n\ndef g", "new", "new()"),
        (
            "        return 2",
            "        return 2\n\n    def k(self):\n        return 5",
            "A.k",
            "A().k()",
        ),
    ],
)
def test_a_new_function_finds_its_place(before: str, after: str, name: str, call: str) -> None:
    text = GREEN.replace(before, after).replace("return f(1)", "return f(")
    assert eval(call, made(text, name)) == 5


def test_what_has_no_place_or_does_not_parse() -> None:
    assert splice(GREEN, GREEN.replace("return a", "return a("), "f") is None
    assert splice(GREEN, GREEN, "missing") is None
    assert splice(GREEN, GREEN + "class B:\n    def m(self):\n        return 1\n", "B.m") is None


def test_what_differs_besides() -> None:
    text = GREEN.replace("return a", "return b")
    assert differing(GREEN, text, "f") == []
    assert differing(GREEN, text, "g") == ["f"]
    assert differing(GREEN, text.replace("import os", "import re"), "f") == ["what runs at import"]
    assert differing(GREEN, GREEN.replace("def g()", "def h()"), "f") == ["g", "h"]
