from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from p2assist.config import Config, UserConfig
from p2assist.harness import doctor, sandbox
from p2assist.harness.impact import ImpactMap
from p2assist.harness.sandbox import Isolation, Layer


def test_all_is_well_where_the_tests_run(shop: tuple[Config, ImpactMap]) -> None:
    found = {check.name.strip(): check for check in doctor.checks(shop[0])}
    assert {
        "machine",
        "isolation",
        "network",
        "files",
        "interpreter",
        "pytest",
        "coverage",
        "git",
    } <= set(found)
    assert all(check.ok and check.detail and not check.remedy for check in found.values())


def test_what_is_missing_comes_with_a_remedy(
    shop: tuple[Config, ImpactMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Layer("files", False, "unshare: not permitted", "allow it")
    monkeypatch.setattr(sandbox, "examine", lambda name: Isolation(name, (layer,)))
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    user = UserConfig(python="/nowhere/python")
    found = doctor.checks(replace(shop[0], user=user))
    bad = {check.name: check.remedy for check in found if not check.ok}
    assert set(bad) == {
        *("isolation", "namespaces: files", "landlock: files", "interpreter", "git"),
    }
    assert all(bad.values())


def test_no_isolation_is_never_shown_as_well(tmp_path: Path) -> None:
    config = Config(root=tmp_path, user=UserConfig(isolation="none"))
    isolation = doctor.checks(config)[1]
    assert not isolation.ok
    assert "isolation" in isolation.remedy


def test_what_else_there_is_is_shown_and_no_error(
    shop: tuple[Config, ImpactMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = Layer("files", True, "closed"), Layer("files", False, "not permitted", "allow it")
    kinds = {"namespaces": bad, "landlock": good}
    monkeypatch.setattr(sandbox, "examine", lambda name: Isolation(name, (kinds[name],)))
    found = {check.name.strip(): check for check in doctor.checks(shop[0])}
    stronger = found["namespaces, the stronger one"]
    assert stronger.ok
    assert stronger.detail == "not here: files: not permitted. allow it"
    kinds["namespaces"] = good
    again = {check.name.strip(): check for check in doctor.checks(shop[0])}
    assert again["landlock, the fallback"].detail == "holds as well; not in use"
