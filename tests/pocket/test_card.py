from __future__ import annotations

import json
from pathlib import Path

import pytest

from p2assist.pocket.build.card import render
from p2assist.pocket.build.recipe import Recipe

PACKAGE = {
    "name": "demo", "version": "1.0", "licence": "MIT", "files": 3, "bytes": 900,
    "functions_cut": 2,
}  # fmt: skip
FIGURES = {
    "bits_per_byte": 1.25, "line_em1": 0.1, "line_em8": 0.2, "line_em1_context": 0.12,
    "line_em8_context": 0.22, "rest_em1_context": 0.35, "rest_em8_context": 0.45,
    "block_em1": 0.01, "block_em8": 0.02, "valid_share": 0.9, "stop_share": 0.8, "warm_ms": 90.0,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    manifest = {
        "held_out": ["toolz==1.2.0"], "held_out_functions": 7, "functions_cut": 2,
        "characters": 900, "files": 3, "packages": [PACKAGE],
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf8")
    run = {"step": 10, "tokens": 3_000_000, "minutes": 5.0, "loss": 2.5, "device": "an abacus"}
    (tmp_path / "train.jsonl").write_text(json.dumps(run) + "\n", "utf8")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.safetensors").write_bytes(b"0" * 2_000_000)
    return tmp_path


def test_the_card_tells_data_recipe_and_cost(folder: Path) -> None:
    card = render(Recipe(), folder, folder / "weights")

    assert "1.00 million parameters" in card
    assert "5.0 minutes on an abacus\n  (10000 tokens a second)" in card
    assert "| demo | 1.0 | MIT | 3 | 900 | 2 |" in card
    assert "Held out by content: toolz==1.2.0" in card
    assert "Not evaluated yet." in card


def test_the_card_tells_the_measured_quality(folder: Path) -> None:
    evaluation = {**FIGURES, "tasks": 10, "blocks": 3, "by_package": {"toolz": FIGURES}}
    (folder / "evaluation.json").write_text(json.dumps(evaluation), "utf8")

    card = render(Recipe(), folder, folder / "weights")

    assert "| toolz | 0.100 | 0.200 | 0.120 | 0.220 | 0.350 | 0.450 | 1.250 |" in card
    assert "| all | 0.100 | 0.200 | 0.120 | 0.220 | 0.350 | 0.450 | 1.250 |" in card
    assert "python -m p2assist.pocket.build evaluate" in card
