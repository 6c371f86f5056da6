"""What became of a shown text, told by edits alone."""

from __future__ import annotations

import pytest
from p2assist_lsp.feedback import Phase, Verdict, Watch
from p2assist_lsp.text import Edit

from p2assist.experience import FeedbackKind

SOURCE = "import os\n\nx = \nprint(x)\n"
AT = SOURCE.index("= ") + 2
ACCEPTED, REJECTED = FeedbackKind.ACCEPTED, FeedbackKind.REJECTED
TYPED, IGNORED = FeedbackKind.TYPED_THROUGH, FeedbackKind.IGNORED
PARTLY = FeedbackKind.PARTIALLY_ACCEPTED


class User:
    """Edits a source, and a watch follows."""

    def __init__(self, *texts: str) -> None:
        self.source = SOURCE
        self.watch = Watch([(text, text) for text in texts], AT)
        self.said: list[Verdict] = []

    def put(self, text: str, at: int | None = None, *, over: int = 0) -> None:
        """Text at the cursor, or at an offset, in place of so many characters."""
        start = self.watch.cursor if at is None else at
        edit = Edit(start, self.source[start : start + over], text)
        before = self.source
        self.source = before[: edit.start] + text + before[edit.end :]
        self.hear(self.watch.edit(edit, before))

    def type(self, text: str) -> None:
        start = self.watch.cursor
        for number, character in enumerate(text):
            self.put(character, start + number)

    def leave(self) -> None:
        self.hear(self.watch.settle(self.source) or self.watch.leave())

    def hear(self, verdict: Verdict | None) -> None:
        self.said += [verdict] if verdict else []


def test_one_piece_is_an_acceptance():
    user = User("a + b", "a")
    user.put("a + b")
    assert user.said == [Verdict("a + b", ACCEPTED)]


def test_letter_by_letter_is_typed_through():
    user = User("a+b")
    user.type("a+b")
    assert user.said == [Verdict("a+b", TYPED, typed=3)]


def test_the_shorter_of_two_is_told_when_the_user_goes_on():
    user = User("a + b", "a")
    user.type("a")
    assert user.said == []
    user.leave()
    assert user.said == [Verdict("a", TYPED, typed=1)]


def test_a_word_and_then_another_text_is_partly_accepted():
    user = User("total + tax")
    user.put("total")
    user.type(" - x")
    user.leave()
    assert user.said == [Verdict("total + tax", PARTLY, "total - x", 1)]


def test_a_word_and_nothing_more_is_partly_accepted():
    user = User("total + tax")
    user.put("total ")
    user.leave()
    assert user.said == [Verdict("total + tax", PARTLY)]


def test_all_by_pieces_is_accepted():
    user = User("total + tax")
    user.put("total ")
    user.put("+ ")
    user.put("tax")
    assert user.said == [Verdict("total + tax", ACCEPTED)]


def test_what_differs_is_rejected_with_what_was_written():
    user = User("a + b")
    user.type("sum(a, b)")
    assert user.watch.phase is Phase.SETTLING
    assert user.said == []
    user.put("#", user.source.index("print"))  # elsewhere
    assert user.said == [Verdict("a + b", REJECTED, "sum(a, b)")]


def test_a_typing_error_taken_back_is_nothing():
    user = User("abc")
    user.type("ab")
    user.put("", AT + 1, over=1)
    user.type("bc")
    assert user.said == [Verdict("abc", TYPED, typed=4)]


def test_a_bracket_that_the_editor_closed_is_typed():
    user = User("f(1)")
    user.type("f")
    user.put("()")
    user.put("1")
    assert user.watch.rest == ")"


def test_an_edit_above_moves_the_place():
    user = User("a + b")
    user.put("import re\n", 0)
    user.put("a + b")
    assert user.said == [Verdict("a + b", ACCEPTED)]


def test_an_edit_before_it_on_its_line_differs():
    user = User("a + b")
    user.put("y", SOURCE.index("x ="))
    assert user.watch.phase is Phase.SETTLING


def test_an_edit_below_is_none_of_its_business():
    user = User("a + b")
    user.put("y", SOURCE.index("print"))
    user.put("a + b")
    assert user.said == [Verdict("a + b", ACCEPTED)]


def test_left_alone_it_was_ignored_and_superseded_it_is_nothing():
    user = User("a + b", "a")
    user.leave()
    assert user.said == [Verdict("a + b", IGNORED)]
    other = User("a + b")
    other.type("a")
    other.hear(other.watch.supersede())
    other.put(" + b")
    other.leave()
    assert other.said == []


def test_superseded_after_a_piece_it_was_partly_accepted():
    user = User("total + tax")
    user.put("total")
    user.hear(user.watch.supersede())
    user.put(" + tax")
    user.leave()
    assert user.said == [Verdict("total + tax", PARTLY)]


@pytest.mark.parametrize(
    ("before", "said", "kind"),
    [("", REJECTED, REJECTED), ("a ", REJECTED, PARTLY), ("a ", ACCEPTED, ACCEPTED)],
)
def test_the_clients_word_counts_but_what_was_taken_stays_taken(before, said, kind):
    user = User("a + b")
    if before:
        user.put(before)
    user.hear(user.watch.say("a + b", said))
    assert [verdict.kind for verdict in user.said] == [kind]
    assert user.watch.say("a + b", said) is None  # once is enough


def test_a_piece_of_one_letter_that_the_client_tells():
    user = User("abc")
    user.type("a")
    user.watch.piece()
    user.leave()
    assert user.said == [Verdict("abc", PARTLY, typed=1)]


def test_it_names_what_is_shown_further_on():
    user = User("abc", "abd")
    user.type("ab")
    assert user.watch.rest == "c"
    assert user.watch.named("d") == "abd"
    assert user.watch.named("x") is None
    user.type("d")
    assert user.said == [Verdict("abd", TYPED, typed=3)]
