"""Every rule with its case, and what holds of all of them."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2assist.experience import Candidate, SpanKind, Task
from p2assist.generation import postprocess as postprocess_module
from p2assist.generation.generator import FakeGenerator
from p2assist.generation.merge import clean
from p2assist.generation.postprocess import (
    RULES,
    Place,
    Postprocessed,
    no_doubled_closing,
    no_loop,
    no_next_lines,
    no_rest_of_line,
    parsing_indentation,
    postprocess,
    tidy,
)

MakeTask = Callable[..., Task]


def at(text: str) -> Place:
    prefix, suffix = text.split("|")
    return Place.from_task(Task("a.py", prefix + suffix, len(prefix), len(prefix)))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("self.a = a\n" * 3 + "self.a = a", "self.a = a"),
        ("x = 1\na()\nb()\na()\nb()\na()\nb()", "x = 1\na()\nb()"),
        ("x = " + "foo(bar(" * 6, ""),
        ("[\n    0,\n    0,\n    0,\n]", "[\n    0,\n    0,\n    0,\n]"),
        ("None, None, None, None", "None, None, None, None"),
        ("# " + "-" * 60, "# " + "-" * 60),
    ],
)
def test_no_loop(text: str, kept: str) -> None:
    assert no_loop(text, at("|\n")) == kept


@pytest.mark.parametrize(
    ("cursor", "text", "kept"),
    [
        ("print(|)\n", "x)", "x"),
        ("print(|)\n", "f(x)", "f(x)"),
        ("print(|)\n", "f(x))", "f(x)"),
        ("print(|)\n", "x) + 1", "x"),
        ("f(g(|)\n", "x)", "x)"),
        ("f(g(|)\n", "x))", "x)"),
        ("f(\n    g(|)\n)\n", "x)", "x"),
        ("f(\n    a, |\n)\n", "b)", "b"),
        ("print(|\n", "x)", "x)"),
        ('x = "|"\n', 'abc"', "abc"),
        ('x = ["|"]\n', 'abc"]', "abc"),
        ('x = "|\n', 'abc"', 'abc"'),
        ('def f():\n    """Return |\n    """\n', 'the sum."""', "the sum."),
        ('def f():\n    """Return |\n\ndef g():\n    """G."""\n', 'it."""', 'it."""'),
        ("x|\n", ")", ")"),
    ],
)
def test_no_doubled_closing(cursor: str, text: str, kept: str) -> None:
    assert no_doubled_closing(text, at(cursor)) == kept


@pytest.mark.parametrize(
    ("cursor", "text", "kept"),
    [
        ("for key in |.items():\n", "table.items():", "table"),
        ("f(|, b, c)\n", "a, b", "a"),
        ("f(|, b, c)\n", "a,", "a"),
        ("x = |  # the sum\n", "a + b  # the sum", "a + b  "),
        ("f(|)\n", "g(x)", "g(x)"),
        ("def f(|) -> None:\n", "a) -> None:", "a"),
        ("x|s)\n", "args", "args"),
        ("x = |\n", "anything", "anything"),
    ],
)
def test_no_rest_of_line(cursor: str, text: str, kept: str) -> None:
    assert no_rest_of_line(text, at(cursor)) == kept


@pytest.mark.parametrize(
    ("cursor", "text", "kept"),
    [
        (
            "def f(x):\n    |\n    return total\n",
            "total = sum(x)\n    return total",
            "total = sum(x)",
        ),
        ("def f(x):\n    |\n    return total\n", "return total", ""),
        (
            "if a:\n    |\nelse:\n    c = compute(d)\n",
            "b()\nelse:\n    c = other()",
            "b()\nelse:\n    c = other()",
        ),
        (
            "if a:\n    |\nelse:\n    c = compute(d)\n",
            "b()\nelse:\n    c = compute(d)",
            "b()",
        ),
        ("x = 1\n|\nvalue = compute(y)\nz = 2\n", "y = 2\nvalue = compute(y)\nz = 9", "y = 2"),
        ("rows = [\n    |\n    0,\n]\n", "0,", "0,"),
        ("f(|)\nx = 1\n", "x = 1", "x = 1"),
    ],
)
def test_no_next_lines(cursor: str, text: str, kept: str) -> None:
    assert no_next_lines(text, at(cursor)) == kept


@pytest.mark.parametrize(
    ("cursor", "text", "kept"),
    [
        # a file of tabs completed with spaces
        ("def f():\n\tif a:\n\t\t|\n", "b()\n        c()", "b()\n\t\tc()"),
        ("def f():\n\t|\n", "if a:\n        b()\n    c()", "if a:\n\t\tb()\n\tc()"),
        # and the reverse
        ("def f():\n    |\n", "if a:\n\t\tb()\n\tc()", "if a:\n        b()\n    c()"),
        # the indentation written again
        ("def f():\n    |\n", "    return 1", "return 1"),
        ("def f():\n    x = 1\n    |\n", "    return 1", "return 1"),
        ("def f():\n    if x:\n    |\n", "    return 1", "    return 1"),
        ("def f():\n    x = 1\n|\n", "    return 1", "    return 1"),
        ("x = 1\n|\n", "    return 1", "return 1"),
        # a blank too many, or too few
        ("def f():\n    |\n", "x = 1\n     y = 2\n   return x", "x = 1\n    y = 2\n    return x"),
        ("def f():\n    |\n", "if a:\n    b()", "if a:\n        b()"),
        # what is no statement's line stays
        ("def f():\n    |\n", 'x = """a\n  b"""', 'x = """a\n  b"""'),
        ("def f():\n    |\n", "x = g(a,\n          b)", "x = g(a,\n          b)"),
        ("x = f(\n    |\n", "a,\n      b)", "a,\n      b)"),
        ("def f():\n    |\n", "x = 1\n  # why\n    y = 2", "x = 1\n  # why\n    y = 2"),
    ],
)
def test_parsing_indentation(cursor: str, text: str, kept: str) -> None:
    assert parsing_indentation(text, at(cursor)) == kept


def test_rules_are_documented_with_their_cases() -> None:
    assert all("Case" in (rule.__doc__ or "") for rule in RULES)


# What holds of all rules

LINES = [
    "x = 1",
    "return total",
    "f(a)",
    "if a:",
    "else:",
    "    b()",
    "\tb()",
    ")",
    '"""',
    "",
    "y)",
]
TEXTS = st.one_of(
    st.text(alphabet="()[]\"'#:\\\n\t ab=,", max_size=30),
    st.lists(st.sampled_from(LINES), max_size=8).map("\n".join),
)


def bare(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=400, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_tidy_is_idempotent_and_never_lengthens(prefix: str, suffix: str, text: str) -> None:
    place = Place.from_task(Task("a.py", prefix + suffix, len(prefix), len(prefix)))
    kept = tidy(text, place)
    assert tidy(kept, place) == kept
    assert bare(text).startswith(bare(kept))
    assert kept.count("\n") <= text.count("\n")


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=6), TEXTS, st.lists(st.sampled_from(LINES)))
def test_what_is_kept_says_nothing_that_follows(
    before: list[str], text: str, after: list[str]
) -> None:
    prefix, suffix = "".join(f"{line}\n" for line in before), "\n" + "\n".join(after)
    place = Place.from_task(Task("a.py", prefix + suffix, len(prefix), len(prefix)))
    kept = tidy(text, place)
    following = [line for line in after if line.strip()]
    if kept and following and not place.opened:
        assert kept.split("\n")[-1] != following[0].rstrip()


@pytest.mark.parametrize("rest", [")", "]:", ", b)", ".items():", '")', "  # why"])
@pytest.mark.parametrize("said", ["x", "f(x)", "a, b", '"s"', "table"])
def test_no_rest_is_said_twice(rest: str, said: str) -> None:
    opened = {")": "f(", "]:": "x[", ", b)": "f(", '")': 'f("'}.get(rest, "")
    place = at(f"{opened}|{rest}\n")
    once = tidy(said, place)
    assert tidy(once + rest, place) == once


def test_a_body_of_odd_columns_parses_after_it() -> None:
    prefix = "def f(a):\n    "
    text = "if a:\n       b = 1\n       c = 2\n     return b\n    return 3"
    kept = tidy(text, at(f"{prefix}|\n"))
    with pytest.raises(IndentationError):
        ast.parse(prefix + text)
    ast.parse(prefix + kept)


# Candidates


def candidate(text: str, logprob: float, **fields: object) -> Candidate:
    made = Candidate(text, logprob, 3, token_ids=(1, 2), mass=logprob, model="m", adapter="a")
    return replace(made, **fields)  # type: ignore[arg-type]


def test_equal_texts_are_merged_and_what_is_empty_now_is_dropped(task: MakeTask) -> None:
    made = postprocess(
        [candidate("x", -3.0), candidate("x)", -1.0), candidate(")", -2.0), candidate("y", -2.5)],
        task("print(|)\n"),
    )
    assert [(c.text, c.logprob, c.rank) for c in made] == [("x", -1.0, 0), ("y", -2.5, 1)]
    assert made[0].mass == pytest.approx(math.log(math.exp(-1) + math.exp(-3)))
    assert made[0].token_ids == () and made[1].token_ids == (1, 2)
    assert {(c.model, c.adapter, c.num_tokens) for c in made} == {("m", "a", 3)}


def test_what_was_empty_stays(task: MakeTask) -> None:
    assert [c.text for c in postprocess([candidate("", -1.0)], task("x = 1|\n"))] == [""]


def test_completions_are_postprocessed_and_scores_are_not(task: MakeTask) -> None:
    inner = FakeGenerator({"": ["x)", "x", "y"]}, model="m", adapter="a")
    generator, made = Postprocessed(inner), task("print(|)\n")
    assert (generator.model, generator.adapter) == ("m", "a")
    assert [c.text for c in generator.generate(made)] == ["x", "y"]
    assert generator.score(made, ["x)"]) == inner.score(made, ["x)"])


def test_the_reference_is_not_looked_at(task: MakeTask) -> None:
    def texts(cursor: str) -> Sequence[str]:
        made = task(cursor, SpanKind.LINE)
        return [c.text for c in postprocess([candidate("b, c)", -1.0)], made)]

    assert texts("f(a, |b, c|)\n") == texts("f(a, |)\n") == ["b, c"]


def spans(source: str) -> Iterator[tuple[int, int, SpanKind]]:
    """Lines behind their indentation, and the bodies of functions and of what is nested."""
    lines = source.split("\n")
    starts = [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))]
    for start, line in zip(starts, lines, strict=True):
        yield start + len(line) - len(line.lstrip()), start + len(line), SpanKind.LINE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.For | ast.If | ast.With):
            first, last = node.body[0], node.body[-1]
            end = starts[(last.end_lineno or 0) - 1] + len(lines[(last.end_lineno or 0) - 1])
            yield starts[first.lineno - 1] + first.col_offset, end, SpanKind.BLOCK


def test_code_that_stands_there_is_left_as_it_is() -> None:
    """What a person wrote is no repetition of what is around it: every seventh span of our own."""
    folder = Path(postprocess_module.__file__).parent
    for file in sorted(folder.glob("*.py")):
        source = file.read_text("utf8")
        for start, end, kind in [*spans(source)][::7]:
            task = Task(file.name, source, start, end, kind)
            wanted = clean(task.reference)
            assert tidy(wanted, Place.from_task(task)) == wanted


def test_candidates_that_fit_come_first_and_the_others_stay(task: MakeTask) -> None:
    made = task("def f(xs):\n    |\n        print(x)\n")
    texts = ["return xs", "for x in xs:", "if xs:", "pass pass"]
    given = [
        Candidate(text=t, logprob=-float(n), num_tokens=3, rank=n) for n, t in enumerate(texts)
    ]
    shown = postprocess(given, made)
    assert [c.text for c in shown] == ["for x in xs:", "if xs:", "return xs", "pass pass"]
    assert [c.rank for c in shown] == [0, 1, 2, 3]
    broken = task("def f(xs:\n    |\n        print(x)\n")
    assert [c.text for c in postprocess(given, broken)] == texts
