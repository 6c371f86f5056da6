"""Complete a place in a file with a model of your own.

    python examples/own_model.py                                  # the embedded model
    python examples/own_model.py ~/models/qwen FILE:LINE[:COLUMN]

MODEL is 'pocket', a folder with config.json, model.safetensors and tokenizer.json, or a name on
the Hugging Face hub: any causal language model that transformers loads. The family's
fill-in-the-middle template is chosen by its tokenizer. Needs p2assist[model].
"""

from __future__ import annotations

import argparse
from pathlib import Path

from p2assist.config import GenerationConfig
from p2assist.errors import P2AssistError
from p2assist.experience import SpanKind, Task
from p2assist.generation.local import LocalGenerator
from p2assist.p2value import possibility

SOURCE = '''\
def total_price(prices, discount=0.0):
    """The sum of the prices, less the discount (0..1)."""
    total = sum(prices)
    return


def cheapest(prices):
    return min(prices)
'''


def cursor(place: str) -> Task:
    """The bare cursor at FILE:LINE[:COLUMN], both 1-based; without a column, the line's end."""
    file, line, column = [*place.split(":"), ""][:3]
    source = Path(file).read_text(encoding="utf-8")
    rows = source.split("\n")
    row = rows[int(line) - 1]
    start = sum(len(text) + 1 for text in rows[: int(line) - 1])
    start += int(column) - 1 if column else len(row)
    return Task(path=Path(file).name, source=source, start=start, end=start, kind=SpanKind.LINE)


def built_in() -> Task:
    """The end of the `return` in SOURCE."""
    source = SOURCE.replace("    return\n", "    return \n", 1)
    start = source.index("    return \n") + len("    return ")
    return Task(path="prices.py", source=source, start=start, end=start, kind=SpanKind.LINE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Complete a line with a model of your own.")
    parser.add_argument("model", nargs="?", default="pocket", help="'pocket', a folder, a hub name")
    parser.add_argument("place", nargs="?", help="FILE:LINE[:COLUMN]")
    parser.add_argument("--beams", type=int, default=8)
    options = parser.parse_args()

    task = cursor(options.place) if options.place else built_in()
    try:
        generator = LocalGenerator.load(options.model, config=GenerationConfig(beams=options.beams))
        candidates = generator.generate(task, beams=options.beams)
    except P2AssistError as error:
        raise SystemExit(f"error: {error}") from error
    print(f"{generator.model} ({generator.encoder.template.family}), {task.path}:{task.line}")
    for candidate in candidates:
        share = float(possibility(candidate.logprob, candidate.num_tokens))
        print(f"{candidate.rank + 1:2}  {share:.3f}  {candidate.text}")


if __name__ == "__main__":
    main()
