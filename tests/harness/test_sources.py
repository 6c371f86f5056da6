from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from p2assist.harness import sources, tree

from .helpers import write


def test_parsing_is_silent_and_its_errors_are_syntax_errors() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sources.parse("x = '\\d'\nx is 1\n")
    for text in ("x = (", "x = '\0'", "\x00"):
        with pytest.raises(SyntaxError):
            sources.parse(text)


def test_the_first_file_that_does_not_parse_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "x = 1\n", "b/c.py": "x = 1\n\ndef f(:\n"})
    assert sources.first_syntax_error(tmp_path).startswith("b/c.py, line 3: ")
    (tmp_path / "b/c.py").unlink()
    assert sources.first_syntax_error(tmp_path) == ""


def test_the_tree_leaves_out_what_is_not_the_repositorys(tmp_path: Path) -> None:
    own = {"a.py": "", "b/c.py": "", "tests/test_a.py": ""}
    other = {
        ".git/hook.py": "",
        "env/pyvenv.cfg": "",
        "env/lib/x.py": "",
        "b/__pycache__/d.py": "",
        ".p2assist/e.py": "",
        "README.md": "",
    }
    write(tmp_path, own | other | {"setup.cfg": "[x]"})
    assert list(tree.python_files(tmp_path)) == list(own)
    assert list(tree.digests(tmp_path)) == [*own, "setup.cfg"]
    assert tree.environments(tmp_path) == ["env"]
    assert tree.file_digest(tmp_path / "nothing") == ""
