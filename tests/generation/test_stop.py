from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2assist.experience import SpanKind, Task
from p2assist.generation.stop import StopRule, opening

MakeTask = Callable[..., Task]
LINE, STATEMENT, BLOCK, BODY = SpanKind

CASES = {
    "a line ends at its newline": (LINE, "a = |", "1", "\nb"),
    "a line ends at a carriage return": (LINE, "a = |", "1", "\r\nb"),
    "a line ends inside a bracket too": (LINE, "f(|", "1,", "\n2)"),
    "an empty line": (LINE, "a = 1|", "", "\n"),
    "a statement": (STATEMENT, "|", "a = 1", "\nb"),
    "a statement over lines": (STATEMENT, "|", "a = f(\n    1,\n)", "\nb"),
    "a statement in an open bracket": (STATEMENT, "f(1, |", "2,\n  3)", "\nb"),
    "a bracket in a string": (STATEMENT, "|", "a = '('", "\nb"),
    "a bracket in a comment": (STATEMENT, "|", "a = 1  # (", "\nb"),
    "a string over lines": (STATEMENT, "|", 'a = """(\nx\n"""', "\nb"),
    "an open string before the cursor": (STATEMENT, 'a = """|', 'x\ny"""', "\nb"),
    "an escaped quote": (STATEMENT, "|", r"a = '\''", "\nb"),
    "a joined line": (STATEMENT, "|", "a = 1 + \\\n  2", "\nb"),
    "a compound statement": (STATEMENT, "    |", "if a:\n        b\n        c", "\n    d"),
    "with its other clauses": (STATEMENT, "|", "if a:\n    b\nelif c:\n    d\nelse:\n    e", "\nf"),
    "a name that begins as a clause": (STATEMENT, "|", "if a:\n    b", "\nelsewhere = 1"),
    "try": (STATEMENT, "|", "try:\n    a\nexcept E:\n    b\nfinally:\n    c", "\nd"),
    "a header with a comment": (STATEMENT, "|", "for a in b:  # c", "\nd"),
    "a header that goes on from the cursor": (STATEMENT, "for a |", "in b:\n    c", "\nd"),
    "a decorated function": (STATEMENT, "|", "@a\n@b\ndef f():\n    pass", "\nc"),
    "a one-line compound": (STATEMENT, "|", "if a: b", "\nc"),
    "a dictionary is no header": (STATEMENT, "|", "a[1:2] = b", "\n    c"),
    "a block": (BLOCK, "if a:\n    |", "b\n    c", "\nd"),
    "a block ends at an else": (BLOCK, "if a:\n    |", "b", "\nelse:\n    c"),
    "blank lines do not end a block": (BLOCK, "if a:\n    |", "b\n\n\n    c", "\n\n\nd"),
    "deeper lines are in the block": (BLOCK, "if a:\n    |", "for b in c:\n        d", "\nd"),
    "a string at the margin": (BODY, "def f():\n    |", 'a = """\nb\n"""\n    c', "\nd"),
    "a bracket closed at the margin": (BODY, "def f():\n    |", "a = (\n1\n)\n    c", "\nd"),
    "tabs": (BODY, "def f():\n\t|", "a\n\tb", "\nc"),
    "a tab is as deep as eight blanks": (BODY, "def f():\n\t|", "a\n        b", "\n    c"),
    "carriage returns": (BODY, "def f():\r\n    |", "a\r\n    b", "\r\nc"),
    "a body begun on its header": (BODY, "def f():|", "\n    a\n    b", "\nc"),
    "a comment at the margin ends a block": (BODY, "def f():\n    |", "a", "\n# c"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_end_is_found_and_not_before_it_is_certain(case: str, task: MakeTask) -> None:
    kind, before, kept, after = CASES[case]
    rule = StopRule.from_task(task(before, kind))
    text = kept + after + "\n"
    ends = [rule.end(text[:size]) for size in range(len(text) + 1)]
    found = [text[:end].rstrip() for end in ends if end is not None]
    assert found, "never stopped"
    assert set(found) == {kept.rstrip()}
    first = next(size for size, end in enumerate(ends) if end is not None)
    assert first > len(kept)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (LINE, "a = (1, 2"),
        (STATEMENT, "a = (1,\n"),
        (STATEMENT, "if a:\n        b\n    els"),
        (STATEMENT, "if a:\n        b\n\n"),
        (BLOCK, "a\n   "),
        (BLOCK, "a\n    b\n"),
        (BODY, 'a = """\nb\n'),
    ],
)
def test_what_may_go_on_is_not_stopped(kind: SpanKind, text: str, task: MakeTask) -> None:
    assert StopRule.from_task(task("if z:\n    |", kind)).end(text) is None


def test_a_module_level_block_has_no_dedent(task: MakeTask) -> None:
    assert StopRule.from_task(task("|", BLOCK)).end("a\nb\n\nc\n") is None


@pytest.mark.parametrize(
    ("text", "kind", "empty"),
    [
        ("x = 1|", LINE, True),
        ("    |", LINE, False),
        ("|", LINE, False),
        ("x = 1|", STATEMENT, False),
        ("def f():\n    |", BODY, False),
    ],
)
def test_nothing_is_an_answer_only_behind_code_on_a_line(
    text: str, kind: SpanKind, empty: bool, task: MakeTask
) -> None:
    assert StopRule.from_task(task(text, kind)).may_be_empty is empty


def test_only_prefix_and_kind_are_looked_at(task: MakeTask) -> None:
    one, other = task("f(\n  |a|)", STATEMENT), task("f(\n  |bb)|", STATEMENT)
    assert StopRule.from_task(one) == StopRule.from_task(other)


def test_cut_text_keeps_its_whole_lines(task: MakeTask) -> None:
    rule = StopRule.from_task(task("def f():\n    |", BODY))
    assert rule.whole("a = 1\n    b = f(\n        2") == "a = 1"
    assert rule.whole("a = ") == ""


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("f(a[", "(["),
        ("f(a[0]", "("),
        ("f() # (", ""),
        ("'('", ""),
        ('x = """(', '"""'),
        ("f('''", "('''"),
        (")", ""),
        ('"""doc(""" + (', "("),
    ],
)
def test_opening_is_what_has_not_been_closed(text: str, wanted: str) -> None:
    assert opening(text) == wanted


@given(st.text(alphabet="ab:()\"'\\# \n\t@=", max_size=60), st.sampled_from(list(SpanKind)))
def test_any_text_gives_an_end_within_it(text: str, kind: SpanKind) -> None:
    rule = StopRule(kind, indent=4, opened=opening(text[:10]))
    end = rule.end(text)
    assert end is None or (0 <= end < len(text) and text[end] in "\r\n")
    if end is not None:  # what follows never changes an end that was found
        assert rule.end(text + "\nmore") == end
