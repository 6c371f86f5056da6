from __future__ import annotations

import json
import shutil

import pytest

from p2assist.learning.storage import (
    digest_of,
    file_digest,
    model_digest,
    read_json,
    write_atomic,
)


def test_a_written_file_is_whole_and_alone(tmp_path):
    file = tmp_path / "a.json"
    write_atomic(file, "1")
    write_atomic(file, "[2]")
    assert read_json(file) == [2]
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("content", [None, b"", b'{"a": ', b"\xff"])
def test_a_missing_or_torn_file_is_none(content, tmp_path):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") is None


def test_digests_are_of_the_value(tmp_path):
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of([1, 23]) != digest_of([12, 3])
    (tmp_path / "x").write_bytes(b"abc")
    assert file_digest(tmp_path / "x").startswith("ba7816bf")


def test_a_model_is_told_by_its_weights_and_its_config(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    weights = bytearray(5_000_000)
    (model / "model.safetensors").write_bytes(weights)
    (model / "config.json").write_text(json.dumps({"layers": 2, "transformers_version": "5.0"}))
    before = model_digest(model)
    copy = shutil.copytree(model, tmp_path / "copy")
    (copy / "config.json").write_text(json.dumps({"transformers_version": "5.9", "layers": 2}))
    assert model_digest(copy) == before
    (copy / "config.json").write_text(json.dumps({"layers": 3}))
    assert model_digest(copy) != before
    for place in (0, 2_600_000, 4_999_999):
        changed = bytearray(weights)
        changed[place] = 1
        (model / "model.safetensors").write_bytes(changed)
        assert model_digest(model) != before


def test_a_folder_without_weights_has_no_digest(tmp_path):
    with pytest.raises(FileNotFoundError, match="no safetensors"):
        model_digest(tmp_path)
