from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from p2assist_lsp.text import Document, Edit, Encoding, newlines, points, units

TEXT = "a🐍b\r\né\r\rlast"
ENCODINGS: list[Encoding] = ["utf-8", "utf-16", "utf-32"]
texts = st.text(st.sampled_from("ab\r\n\f\x85\u2028é🐍"), max_size=30)


def test_lines_end_where_the_protocol_says():
    assert Document("u", TEXT).lines == 4
    assert Document("u", "a\fb\vc\x85d\u2028e").lines == 1
    assert Document("u", "").lines == 1
    assert Document("u", "a\n").lines == 2


@pytest.mark.parametrize(("encoding", "after"), [("utf-8", 5), ("utf-16", 3), ("utf-32", 2)])
def test_a_position_is_in_the_clients_units(encoding: Encoding, after: int):
    document = Document("u", TEXT, encoding=encoding)
    assert document.offset(0, after) == 2
    assert document.position(2) == (0, after)
    assert document.offset(0, after - 1) == 1  # within the snake: before it
    assert document.offset(1, 0) == 4  # CR LF is one character of the source
    assert document.position(4) == (1, 0)


@pytest.mark.parametrize(
    ("position", "offset"),
    [((0, 99), 3), ((-1, 5), 0), ((9, 0), 11), ((3, 99), 11), ((0, -5), 0), ((2, 7), 6)],
)
def test_a_position_that_is_not_there_is_the_nearest(position: tuple[int, int], offset: int):
    assert Document("u", TEXT).offset(*position) == offset


def test_edits_keep_the_text_as_the_editor_has_it():
    document = Document("u", TEXT)
    edit = document.edit((0, 3), (1, 1), "x\r\ny")
    assert document.text == "a🐍x\r\ny\r\rlast"
    assert document.source == "a🐍x\ny\n\nlast"
    assert edit == Edit(2, "b\né", "x\ny")
    assert document.edit((1, 1), (0, 0), "") == Edit(0, "a🐍x\ny", "")  # the wrong way round
    assert document.replace("new") == Edit(0, "\n\nlast", "new")


@pytest.mark.parametrize(
    ("edit", "least"),
    [
        (Edit(3, "abc", "abd"), Edit(5, "c", "d")),
        (Edit(3, "abc", "xabc"), Edit(3, "", "x")),
        (Edit(3, "aa", "aaa"), Edit(5, "", "a")),
        (Edit(3, "ab", "ab"), Edit(5, "", "")),
        (Edit(3, "", "new"), Edit(3, "", "new")),
    ],
)
def test_the_least_edit_leaves_out_what_stays(edit: Edit, least: Edit):
    assert edit.least == least


@given(texts, st.integers(0, 5), st.integers(0, 9), st.integers(0, 5), st.integers(0, 9), texts)
def test_the_edit_that_is_told_is_the_one_that_was_made(text, line, column, last, end, new):
    document = Document("u", text)
    before = document.source
    edit = document.edit((line, column), (last, end), new)
    joined = before[: edit.start] + edit.inserted + before[edit.end :]
    assert before[edit.start : edit.end] == edit.removed
    assert newlines(document.text) == document.source
    # An end that comes together from two halves, CR and LF, is one in the source.
    assert document.source == joined or "\r\n" in document.text


@given(texts, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 3), texts)))
def test_lines_are_where_they_are_after_any_edits(text, edits):
    document = Document("a", text)
    for line, character, more, new in edits:
        document.edit((line, character), (line + more, character), new)
        fresh = Document("a", document.text)
        assert document.lines == fresh.lines
        for at in range(fresh.lines + 1):
            assert document.offset(at, 0) == fresh.offset(at, 0)


@given(texts, st.sampled_from(ENCODINGS), st.integers(0, 40))
def test_an_offset_comes_back_from_its_position(text: str, encoding: Encoding, at: int):
    document = Document("u", text, encoding=encoding)
    offset = min(at, len(document.source))
    assert document.offset(*document.position(offset)) == offset


@given(texts, st.sampled_from(ENCODINGS))
def test_units_and_points_are_each_others_inverse(text: str, encoding: Encoding):
    for count in range(len(text) + 1):
        assert points(text, units(text[:count], encoding), encoding) == count
    assert points(text, 10_000, encoding) == len(text)
