from __future__ import annotations

from pathlib import Path

import pytest

from p2assist.errors import ConfigError
from p2assist.pocket.build.recipe import Recipe, TrainRecipe


def test_the_shipped_recipe_holds_the_evaluation_packages_out() -> None:
    recipe = Recipe.from_file()
    names = {requirement.split("==")[0] for requirement in recipe.corpus.held_out}
    assert names == {"toolz", "more-itertools", "boltons", "tomlkit", "humanize"}
    lines = recipe.corpus.requirements.read_text("utf8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 500
    assert all("==" in pin for pin in pins)
    assert not (names | {"cytoolz"}) & {pin.split("==")[0] for pin in pins}


def test_the_requirements_lie_beside_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('[corpus]\nrequirements = "few.txt"\n', "utf8")
    assert Recipe.from_file(path).corpus.requirements == tmp_path / "few.txt"


def test_keys_left_out_keep_their_defaults(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[train]\nminutes = 3.0\n", "utf8")
    assert Recipe.from_file(path) == Recipe(train=TrainRecipe(minutes=3.0))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[nope]\n", "nope"),
        ("[train]\nepochs = 3\n", "epochs"),
        ("[train]\nmillion_tokens = 0\n", "million_tokens"),
        ("[train]\nfim_share = 1.5\n", "fim_share"),
        ("[model]\nhidden = 100\nheads = 3\n", "heads"),
        ("[model]\nheads = 8\nkv_heads = 3\n", "kv_heads"),
        ("[tokenizer]\nvocabulary = 70000\n", "vocabulary"),
    ],
)
def test_bad_values_are_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text, "utf8")
    with pytest.raises(ConfigError, match=named):
        Recipe.from_file(path)
