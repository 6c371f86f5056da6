from __future__ import annotations

import textwrap

from p2assist.pocket.build.corpus import Document
from p2assist.pocket.build.tasks import line_tasks

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


def tasks(count: int = 50) -> list[str]:
    document = Document("demo", "demo/total.py", SOURCE)
    return [t.middle for t in line_tasks([document], count=count, min_characters=8, seed=0)]


def test_lines_are_code_inside_functions() -> None:
    assert sorted(tasks()) == [
        "for value in values:",
        "result += value * 2",
        "result = 0",
        "return result, text",
        'text = """a literal',
    ]


def test_parts_join_to_the_file_and_the_cursor_follows_the_indentation() -> None:
    document = Document("demo", "demo/total.py", SOURCE)
    for task in line_tasks([document], count=9, min_characters=8, seed=1):
        assert task.prefix + task.middle + task.suffix == SOURCE
        assert task.prefix.endswith("    ")
        assert task.suffix.startswith("\n")


def test_the_draw_is_seeded_even_over_packages_and_without_tests() -> None:
    files = [
        Document("one", "one/a.py", SOURCE),
        Document("two", "two/b.py", SOURCE),
        Document("two", "two/tests/test_b.py", SOURCE),
    ]
    drawn = line_tasks(files, count=6, min_characters=8, seed=0)

    assert [task.package for task in drawn] == ["one"] * 3 + ["two"] * 3
    assert not any("test" in task.path for task in drawn)
    assert drawn == line_tasks(files, count=6, min_characters=8, seed=0)
