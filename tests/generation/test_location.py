from __future__ import annotations

from pathlib import Path

import pytest

from p2assist.errors import ModelError
from p2assist.generation import location


def test_a_source_tree_without_weights_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(location, "weights_path", lambda: tmp_path / "weights")
    with pytest.raises(ModelError, match=r"embedded model is missing.*p2assist\.pocket\.build"):
        location.locate("pocket")


def test_a_folder_is_given_and_a_name_of_the_hub_is_left(tmp_path: Path) -> None:
    assert location.locate(str(tmp_path)) == str(tmp_path)
    assert location.locate("nobody/nothing") == "nobody/nothing"


def test_a_hub_model_is_in_the_folder_of_its_newest_copy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    newest = tmp_path / "models--some--model" / "snapshots" / "abc"
    newest.mkdir(parents=True)
    (newest / "config.json").write_text("{}")
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text("abc")
    assert location.folder_of("some/model") == newest
    assert location.folder_of(str(tmp_path)) == tmp_path
    for absent in ("some/other", "no name: of the hub"):
        assert location.folder_of(absent) is None
    with pytest.raises(ModelError, match="there is no model in"):
        location.folder_of(str(tmp_path / "nowhere"))
