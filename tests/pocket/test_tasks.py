from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest

from p2assist.experience import SpanKind, Task
from p2assist.pocket.build import tasks

SOURCE = textwrap.dedent('''
    TABLE = {"outside": "functions"}


    def total(values):
        """Not this line of text.

        Nor this one here.
        """
        result = 0
        # nor this comment
        for value in values:
            result += value * 2
        text = """a literal
        of several lines"""
        return result, text
''')


@pytest.fixture
def roots(tmp_path: Path) -> dict[str, Path]:
    for path in ("one/a.py", "two/b.py", "two/tests/test_b.py", "two/docs/conf.py", "two/setup.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(SOURCE)
    return {"one": tmp_path / "one", "two": tmp_path / "two"}


def of_kind(roots: dict[str, Path], kind: tasks.Draw, count: int = 50) -> list[Task]:
    found = tasks.drawn(roots, kind, count=count, min_characters=8, seed=0)
    return [task for some in found.values() for task in some]


def test_lines_are_code_inside_functions(roots: dict[str, Path]) -> None:
    assert sorted({task.reference for task in of_kind(roots, tasks.lines)}) == [
        "for value in values:",
        "result += value * 2",
        "result = 0",
        "return result, text",
        'text = """a literal',
    ]
    assert all(task.prefix.endswith("    ") for task in of_kind(roots, tasks.lines))


def test_rests_begin_within_a_line_and_go_to_its_end(roots: dict[str, Path]) -> None:
    whole = {task.reference for task in of_kind(roots, tasks.lines)}
    for task in of_kind(roots, tasks.rests):
        line = task.prefix.rpartition("\n")[2].lstrip() + task.reference
        assert line in whole
        assert 0 < len(task.reference) < len(line)


def test_blocks_end_their_suite(roots: dict[str, Path]) -> None:
    found = of_kind(roots, tasks.blocks)
    assert found
    for task in found:
        assert task.kind is SpanKind.BLOCK
        assert 2 <= task.reference.count("\n") + 1 <= 5
        ast.parse(textwrap.dedent(" " * 4 + task.reference))
    assert {task.reference.split("\n")[-1].strip() for task in found} == {"return result, text"}


def test_the_draw_is_seeded_even_over_packages_and_without_tests(roots: dict[str, Path]) -> None:
    drawn = tasks.drawn(roots, tasks.rests, count=6, min_characters=8, seed=0)

    assert {name: [task.path for task in some] for name, some in drawn.items()} == {
        "one": ["a.py"] * 3,
        "two": ["b.py"] * 3,
    }
    assert drawn == tasks.drawn(roots, tasks.rests, count=6, min_characters=8, seed=0)
    assert drawn != tasks.drawn(roots, tasks.rests, count=6, min_characters=8, seed=1)
