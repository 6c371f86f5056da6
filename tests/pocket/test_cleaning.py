from __future__ import annotations

import pytest

from p2assist.pocket.build.cleaning import clean

CODE = "import os\n\n\n" + "\n".join(
    f"def part_{i}(path):\n    return os.path.join(path, str({i}))\n\n" for i in range(8)
)


def test_licence_headers_go_and_the_code_stays() -> None:
    kept = clean("#!/usr/bin/env python\n# Copyright somebody\n#\n\n" + CODE)
    assert kept is not None
    assert kept[0] == CODE


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n",
        "def broken(:\n" + CODE,
        "'''This file is generated, do not edit.'''\n" + CODE,
        CODE + "x = '" + "a" * 300 + "'\n",
        CODE + "\0",
        "TABLE = [\n" + "".join(f"    ({i}, {i * 7}, 'n{i}'),\n" for i in range(200)) + "]\n",
    ],
    ids=["short", "broken", "generated", "long line", "null", "table"],
)
def test_what_teaches_nothing_is_dropped(text: str) -> None:
    assert clean(text) is None


def test_line_ends_and_tabs_are_made_even() -> None:
    kept = clean(CODE.replace("    ", "\t").replace("\n", "\r\n"))
    assert kept is not None
    assert kept[0] == CODE
