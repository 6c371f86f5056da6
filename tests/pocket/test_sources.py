from __future__ import annotations

from pathlib import Path

import pytest

from p2assist.pocket.build.sources import is_test, normalise, packages


@pytest.mark.parametrize(
    "path", ["a/tests/b.py", "test/b.py", "a/test_b.py", "a/b_test.py", "a/conftest.py"]
)
def test_tests_are_known_by_their_paths(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize("path", ["a/latest/b.py", "a/contest.py", "a/attest_b.py"])
def test_other_paths_are_no_tests(path: str) -> None:
    assert not is_test(path)


def test_names_are_spelled_as_the_index_does() -> None:
    assert normalise("More_Itertools") == "more-itertools"


def installed(folder: Path, name: str, licence: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nLicense-Expression: {licence}\n"
    (info / "METADATA").write_text(metadata, "utf8")
    files = [f"{name}/__init__.py", f"{name}/_vendor/other.py", f"{name}/data.txt"]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files), "utf8")


def test_packages_are_listed_with_licence_and_without_vendored_code(tmp_path: Path) -> None:
    installed(tmp_path, "free", "MIT")
    installed(tmp_path, "copyleft", "GPL-3.0-only")

    found, refused = packages([tmp_path])

    assert [(s.name, s.version, s.licence, s.files) for s in found] == [
        ("free", "1.0", "MIT", ("free/__init__.py",))
    ]
    assert refused == ["copyleft"]
