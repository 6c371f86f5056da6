import pytest

from p2assist.experience import SpanKind
from p2assist.tasks.functions import Lines, functions
from p2assist.tasks.spans import spans

SOURCE = '''\
def total(items, rate):
    """The sum."""
    result = 0
    for item in items:
        if item.price > 0:
            result += item.price
            print(item.price)
        else:
            raise ValueError(
                "price",
                item,
            )
    # a comment line that is long enough
    return round(result * rate, 2)
'''


def texts(kind: SpanKind, source: str = SOURCE) -> list[str]:
    found = []
    for function in functions(source):
        for span in spans(function, Lines(source)):
            if span.kind is kind:
                found.append(source[span.start : span.end])
    return found


def test_lines_begin_after_the_indentation_or_at_a_thinking_place() -> None:
    lines = texts(SpanKind.LINE)
    assert "for item in items:" in lines
    assert "round(result * rate, 2)" in lines
    assert "result * rate, 2)" in lines
    assert "price > 0:" in lines


def test_neither_comments_nor_docstrings_nor_stubs_of_lines() -> None:
    for text in texts(SpanKind.LINE):
        assert "comment" not in text
        assert "The sum" not in text
        assert text not in ("else:", "),")


def test_statements_are_more_than_a_line() -> None:
    statements = texts(SpanKind.STATEMENT)
    assert any(text.startswith("raise ValueError(") for text in statements)
    assert all("\n" in text for text in statements)


def test_blocks_are_suites_without_their_header() -> None:
    blocks = texts(SpanKind.BLOCK)
    assert blocks == ["result += item.price\n            print(item.price)"]


def test_body_leaves_the_docstring_out() -> None:
    (body,) = texts(SpanKind.BODY)
    assert body.startswith("result = 0")
    assert body.endswith("return round(result * rate, 2)")


@pytest.mark.parametrize("kind", list(SpanKind))
def test_removing_and_putting_back_keeps_the_file(kind: SpanKind) -> None:
    for function in functions(SOURCE):
        for span in spans(function, Lines(SOURCE)):
            text = SOURCE[span.start : span.end]
            assert text == text.strip()
            assert SOURCE[: span.start] + text + SOURCE[span.end :] == SOURCE


def test_a_line_span_ends_where_its_line_ends() -> None:
    source = "def f(a):\n    return a.name  \n"
    assert "a.name" in texts(SpanKind.LINE, source)
    assert all("\n" not in text for text in texts(SpanKind.LINE, source))


def test_one_line_functions_have_no_body_span() -> None:
    assert texts(SpanKind.BODY, "def f(a): return a.name\n") == []


def test_no_span_under_two_kinds() -> None:
    for function in functions(SOURCE):
        seen = [(s.start, s.end) for s in spans(function, Lines(SOURCE))]
        assert len(seen) == len(set(seen))
