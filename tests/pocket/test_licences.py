from __future__ import annotations

import pytest

from p2assist.pocket.build.licences import classify


@pytest.mark.parametrize(
    "expression",
    ["MIT", "BSD-3-Clause", "Apache-2.0 OR BSD-2-Clause", "PSF-2.0", "ISC",
     "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0"],
)  # fmt: skip
def test_permissive_expressions_are_taken_as_they_are(expression: str) -> None:
    assert classify(expression, [], "") == expression


@pytest.mark.parametrize(
    "expression",
    ["GPL-3.0-or-later", "LGPL-2.1-only", "AGPL-3.0", "MPL-2.0", "MIT AND MPL-2.0",
     "GPL-2.0 OR MIT", "LicenseRef-Ours", "MIT AND LicenseRef-Ours"],
)  # fmt: skip
def test_copyleft_and_unknown_terms_exclude(expression: str) -> None:
    assert classify(expression, [], "") is None


def test_classifiers_stand_in_for_an_expression() -> None:
    assert classify("", ["License :: OSI Approved :: MIT License"], "") == "MIT License"
    mozilla = "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"
    assert classify("", [mozilla], "") is None


def test_the_licence_field_is_believed_last() -> None:
    assert classify("", [], "BSD 3-Clause") == "BSD 3-Clause"
    assert classify("", [], "Dual License") is None
    assert classify("", ["License :: OSI Approved :: MIT License"], "GPLv3") is None


def test_nothing_said_excludes() -> None:
    assert classify("", ["Programming Language :: Python"], "") is None
    assert classify("", ["License :: OSI Approved"], "") is None
