"""`python -m p2assist.pocket.build STAGE`: run one stage of the recipe."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from p2assist.pocket import weights_path

from . import card, corpus, sources, tokenizer
from .pack import Packed, pack
from .recipe import DEFAULT, Recipe

STAGES = ("corpus", "tokenizer", "pack", "train", "export", "evaluate", "gguf")

# Read once, when the process starts. Without glibc's every large tensor is mapped and
# unmapped anew, which costs up to half the time; with OpenMP's threads that wait sleep
# instead of spinning, without which another program on the same cores slowed training to
# a fifth.
_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_TOP_PAD_": "268435456",
    "OMP_WAIT_POLICY": "passive",
}


def main(arguments: list[str] | None = None) -> None:
    """Run the stage that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m p2assist.pocket.build", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--config", type=Path, default=DEFAULT, help="recipe file")
    parser.add_argument("--workdir", type=Path, default=Path("pocket-work"))
    parser.add_argument(
        "--weights",
        type=Path,
        default=weights_path(),
        help="what export writes, evaluate and gguf read",
    )
    parser.add_argument(
        "--precision", default="f32", choices=("f32", "f16", "bf16"), help="of a GGUF file"
    )
    options = parser.parse_args(arguments)
    options.workdir.mkdir(parents=True, exist_ok=True)
    if options.stage == "gguf":
        from . import gguf

        file = options.workdir / f"pocket-{options.precision}.gguf"
        print(gguf.write(options.weights, file, precision=options.precision))  # noqa: T201
        return
    run(options.stage, Recipe.from_file(options.config), options.workdir, options.weights)


def run(stage: str, recipe: Recipe, folder: Path, weights: Path) -> None:
    """Run one stage; each continues from what the stages before left in the folder."""
    if stage == "corpus":
        corpus.collect(recipe.corpus, folder)
    elif stage == "tokenizer":
        _tokenizer(recipe, folder)
    elif stage == "pack":
        _pack(folder)
    elif stage == "train":
        from .train import train

        packed = Packed.load(folder / "packed.npz")
        train(recipe.model, recipe.train, packed, tokenizer.load(folder), folder)
    elif stage == "export":
        from .export import export_checkpoint

        export_checkpoint(recipe.model, tokenizer.load(folder), folder, weights)
        (folder / "evaluation.json").unlink(missing_ok=True)  # of other weights
        _card(recipe, folder, weights)
    else:
        from .evaluate import evaluate

        roots = sources.trees(recipe.corpus.held_out, folder / "held_out_trees")
        report = evaluate(recipe.evaluate, roots, str(weights), weights)
        report.write(folder / "evaluation.json")
        _card(recipe, folder, weights)


def _tokenizer(recipe: Recipe, folder: Path) -> None:
    if (folder / "tokenizer.json").exists():
        return
    texts = [document.text for document in corpus.documents(folder)]
    learned = tokenizer.learn(recipe.tokenizer, texts, recipe.corpus.seed)
    tokenizer.save(learned, folder, positions=recipe.model.positions)


def _pack(folder: Path) -> None:
    if not (folder / "packed.npz").exists():
        packed = pack(corpus.documents(folder), tokenizer.load(folder))
        packed.save(folder / "packed.npz")


def _card(recipe: Recipe, folder: Path, weights: Path) -> None:
    (weights / "README.md").write_text(card.render(recipe, folder, weights), "utf8")


def _with_environment() -> None:
    """Start this process again with the settings above, unless it has them."""
    if sys.platform == "linux" and not _ENVIRONMENT.keys() <= os.environ.keys():
        os.environ.update(_ENVIRONMENT)
        command = [sys.executable, "-m", __package__ or "", *sys.argv[1:]]
        os.execv(sys.executable, command)  # noqa: S606 (this very program)


if __name__ == "__main__":
    _with_environment()
    main()
