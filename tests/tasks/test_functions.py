import pytest

from p2assist.errors import RepositoryError
from p2assist.tasks.functions import Lines, functions, parse

SOURCE = '''\
import os

@decorated
def first(a):
    """Says first.

    More words.
    """
    def inner():
        return a
    return inner

class Box:
    def get(self):
        return "é" + self.x

    class Deep:
        async def run(self): pass

if os.name:
    def conditional(): return 1
'''


def test_outermost_functions_by_qualified_name() -> None:
    names = [f.name for f in functions(SOURCE)]
    assert names == ["first", "Box.get", "Box.Deep.run", "conditional"]


def test_text_goes_from_the_decorator_to_the_end_of_the_last_line() -> None:
    first = functions(SOURCE)[0]
    text = SOURCE[first.start : first.end]
    assert text.startswith("@decorated\ndef first")
    assert text.endswith("    return inner\n")


def test_description_is_the_first_paragraph_and_body_leaves_it_out() -> None:
    first = functions(SOURCE)[0]
    assert first.description == "Says first."
    assert len(first.body) == 2
    assert functions(SOURCE)[1].description == ""


def test_function_at_the_end_without_newline() -> None:
    source = "def f():\n    return 1"
    assert source[: functions(source)[0].end] == source


def test_offsets_count_code_points_not_bytes() -> None:
    lines = Lines('x = "é"; y = 1\n')
    node = parse(lines.source).body[1]
    start, end = lines.span(node, node)
    assert lines.source[start:end] == "y = 1"


def test_form_feed_ends_no_line() -> None:
    source = "x = 1\n\x0c\ndef f():\n    return 2\n"
    f = functions(source)[0]
    assert source[f.start : f.end] == "def f():\n    return 2\n"


def test_broken_source_names_file_and_line() -> None:
    with pytest.raises(RepositoryError, match=r"shop/cart\.py:2"):
        parse("x = 1\ndef (:\n", "shop/cart.py")
