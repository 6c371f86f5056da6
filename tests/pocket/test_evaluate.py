from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from p2assist.pocket import weights_path
from p2assist.pocket.build.recipe import EvaluateRecipe

pytestmark = pytest.mark.model

SHAPES = """\
class Box:
    def __init__(self, width, height):
        self.width = width
        self.height = height

    def area(self):
        if self.width < 0:
            raise ValueError("negative width")
        area = self.width * self.height
        return area
"""


def test_a_model_is_measured_as_an_editor_asks_it(tmp_path: Path) -> None:
    from p2assist.pocket.build.evaluate import Report, evaluate

    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "shapes.py").write_text(SHAPES)
    recipe = EvaluateRecipe(tasks=4, blocks=1, bits_characters=1000)

    report = evaluate(recipe, {"one": tmp_path / "one"}, "pocket", weights_path())
    report.write(tmp_path / "evaluation.json")

    assert (report.tasks, report.blocks) == (4, 1)
    assert 0.1 < report.bits_per_byte < 4
    for kind in ("line", "rest"):
        first = getattr(report, f"{kind}_em1_context")
        assert 0 <= first <= getattr(report, f"{kind}_em8_context") <= 1
    assert report.line_em8 > 0  # nobody writes `self.height = height` more often than it does
    assert report.valid_share > 0.5
    assert 15_000_000 < report.params < 25_000_000
    assert report.bytes < 40_000_000
    assert report.warm_ms > 0
    stored = json.loads((tmp_path / "evaluation.json").read_text())
    assert set(stored) == {field.name for field in fields(Report)}
    assert set(stored["by_package"]) == {"one"}
