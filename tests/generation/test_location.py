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
