"""Beam search against transformers and llama.cpp: `python -m benchmarks.beam [--plot FILE]`.

The embedded model, and one of Qwen2.5-Coder-0.5B's shape with random weights, made once in .demo;
prompts are places in boltons, which the embedded model was not trained on. Eight beams
write 20 tokens each and nothing ends them, so that everyone does the same work, on the same number
of threads and in the same type. All are measured in turn, and the figures are ratios of medians:

ratio_cold          transformers' generate(num_beams=8) / ours, both from nothing
ratio_warm          its time from nothing / ours at the next keystroke (4 new tokens)
ratio_warm_cached   its time with the cache of all but the 4 new tokens / ours at the next keystroke
floor_warm          ours at the next keystroke / our own forward of one sequence, 20 steps
llama_cpp_ratio     llama.cpp's time at the next keystroke / ours. It has no beam search any more:
                    eight sequences of as many tokens, each continued greedily. null without it
                    (make server-setup), for the second model, which has no GGUF file, and where
                    ours is on a GPU
logprob_gap         mean of (our best beam's sum - generate's), nats
keystroke_p50_ms, keystroke_p95_ms, peak_memory_mb, peak_gpu_memory_mb
                    see benchmarks.keystrokes

Keys without a prefix are of the embedded model in its own type; fp32_ is the same in float32, and
qwen_ the other model. `device` says what it ran on: a GPU where torch sees one. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from transformers import DynamicCache, GenerationConfig

from benchmarks.packages import BOLTONS, PLACE, needed, unpacked
from benchmarks.shapes import qwen_shape
from p2assist.config import GenerationConfig as Settings
from p2assist.experience import SpanKind, Task
from p2assist.generation.beam import BeamSearch
from p2assist.generation.loading import Dtype, load_network, quiet
from p2assist.generation.local import LocalGenerator
from p2assist.generation.stop import StopRule
from p2assist.pocket import weights_path

BEAMS, TOKENS, NEW = 8, 20, 4
FILES = (
    "boltons/iterutils.py",
    "boltons/strutils.py",
    "boltons/urlutils.py",
    "boltons/cacheutils.py",
)
LLAMA = os.environ.get("P2ASSIST_LLAMA", str(Path(".llama", "bin", "python")))
err = Console(stderr=True)


class Endless(StopRule):
    """Nothing ends a text."""

    def end(self, text: str) -> int | None:
        return None

    def whole(self, text: str) -> str:
        return text


class Model:
    """One model in one type: ours, transformers' and, where it is there, llama.cpp's."""

    def __init__(self, name: str, dtype: Dtype, *, prompt: int = 0) -> None:
        settings = Settings(max_prompt_tokens=prompt)
        self.generator = LocalGenerator.load(name, config=settings, dtype=dtype)
        search = self.generator._search
        self.forward = search.forward
        self.search = BeamSearch(self.forward, search.vocabulary, ())
        self.network, _ = load_network(name, dtype=dtype)
        self.silent = list(search.vocabulary.silent)
        self.threads = self.generator._base.threads or torch.get_num_threads()
        torch.set_num_threads(self.threads)

    @torch.inference_mode()
    def warm(self, ids: Sequence[int]) -> None:
        """All but the new tokens are known, as they are when a key is pressed."""
        self.forward.cache.clear()  # type: ignore[attr-defined]
        self.forward.prefill(ids[:-NEW])

    def ours(self, ids: Sequence[int], beams: int = BEAMS, tokens: int = TOKENS) -> float:
        """Our best beam's sum of log-probabilities."""
        rule = Endless(SpanKind.BLOCK)
        found = self.search.run(ids, rule, beams=beams, max_tokens=tokens)
        return max(beam.logprob for beam in found)

    @torch.inference_mode()
    def one(self, ids: Sequence[int]) -> None:
        """One sequence of as many tokens: the least that a beam search of ours could take."""
        prefilled = self.forward.prefill(ids)
        assert prefilled is not None
        branch, token = prefilled.branch(1, TOKENS), int(prefilled.logits.argmax())
        for _ in range(TOKENS - 1):
            token = int(branch.step([0], [token])[0].argmax())

    @torch.inference_mode()
    def past(self, ids: Sequence[int], beams: int = BEAMS) -> DynamicCache:
        """Transformers' cache of all but the new tokens, for each beam."""
        cache = DynamicCache(config=self.network.config)
        known = torch.tensor([ids[:-NEW]], device=self.network.device)
        self.network(input_ids=known, past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(beams)
        return cache

    def generate(
        self,
        ids: Sequence[int],
        cache: DynamicCache | None = None,
        *,
        beams: int = BEAMS,
        tokens: int = TOKENS,
        scored: bool = False,
    ) -> float:
        """generate's best sum of log-probabilities where it is scored, 0 otherwise."""
        given = torch.tensor([list(ids)], device=self.network.device)
        made = self.network.generate(
            given,
            attention_mask=torch.ones_like(given),
            generation_config=GenerationConfig(
                num_beams=beams,
                num_return_sequences=beams,
                max_new_tokens=tokens,
                do_sample=False,
                length_penalty=0.0,
                eos_token_id=None,
                pad_token_id=0,
                suppress_tokens=self.silent or None,
                return_dict_in_generate=scored,
                output_scores=scored,
            ),
            **({"past_key_values": cache} if cache is not None else {}),
        )
        return float(made.sequences_scores[0]) if scored else 0.0


class Llama:
    """llama.cpp in a process of its own."""

    def __init__(self, precision: str, threads: int) -> None:
        from p2assist.pocket.build import gguf

        file = PLACE.absolute() / f"pocket-{precision}.gguf"
        gguf.write(weights_path(), file, precision=precision)  # type: ignore[arg-type]
        script = Path(__file__).with_name("llama.py")
        self._process = subprocess.Popen(
            [LLAMA, str(script), str(file), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, ids: Sequence[int]) -> float:
        assert self._process.stdin and self._process.stdout
        asked = {"ids": list(ids), "new": NEW, "rows": BEAMS, "tokens": TOKENS}
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def prompts(generator: LocalGenerator, count: int) -> list[tuple[int, ...]]:
    """The prompts at places spread over the files, with two hundred tokens at least."""
    root, found = unpacked(BOLTONS), []
    for number in range(count):
        source = (root / FILES[number % len(FILES)]).read_text("utf-8")
        at = source.index("= ", len(source) * (number + 1) // (count + 1)) + 2
        found.append(generator.encoder.prompt(Task("a.py", source, at, at)))
    return found


def timed(work: Callable[[], object]) -> float:
    """Seconds, until the GPU is done where there is one."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def measure(name: str, dtype: Dtype, *, count: int, rounds: int, prompt: int = 0) -> dict[str, Any]:
    """The ratios of one model in one type."""
    model = Model(name, dtype, prompt=prompt)
    places = prompts(model.generator, count)
    llama = None
    if name == "pocket" and Path(LLAMA).exists() and not torch.cuda.is_available():
        exact = next(model.network.parameters()).dtype is torch.float32
        llama = Llama("f32" if exact else "bf16", model.threads)
    times: dict[str, list[float]] = {}

    def note(what: str, seconds: float) -> None:
        times.setdefault(what, []).append(seconds)

    gaps = []
    for ids in track(places, f"{Path(name).name} {dtype}", console=err):
        model.ours(ids, tokens=2)
        for _ in range(rounds):
            model.forward.cache.clear()  # type: ignore[attr-defined]
            note("cold", timed(partial(model.ours, ids)))
            model.warm(ids)
            note("warm", timed(partial(model.ours, ids)))
            model.forward.prefill(ids)
            note("one", timed(partial(model.one, ids)))
            cache = model.past(ids)
            note("cached", timed(partial(model.generate, ids, cache)))
            note("generate", timed(partial(model.generate, ids)))
            if llama:
                note("llama", llama.seconds(ids))
        gaps.append(model.ours(ids) - model.generate(ids, scored=True))
    if llama:
        llama.close()
    median = {what: statistics.median(seconds) for what, seconds in times.items()}
    err.print({what: f"{1000 * seconds:.1f} ms" for what, seconds in median.items()})
    return {
        "ratio_cold": round(median["generate"] / median["cold"], 2),
        "ratio_warm": round(median["generate"] / median["warm"], 2),
        "ratio_warm_cached": round(median["cached"] / median["warm"], 2),
        "floor_warm": round(median["warm"] / median["one"], 2),
        "llama_cpp_ratio": round(median["llama"] / median["warm"], 2) if llama else None,
        "logprob_gap": round(statistics.mean(gaps), 5),
    }


def session(name: str, dtype: Dtype, *, keys: int, prompt: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.keystrokes", "--model", name, "--dtype", dtype]
    command += ["--keys", str(keys), "--prompt", str(prompt)]
    err.print(f"typing {keys} keys: {Path(name).name} {dtype}")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    err.print(told)
    return {
        "keystroke_p50_ms": told["p50_ms"],
        "keystroke_p95_ms": told["p95_ms"],
        "peak_memory_mb": told["peak_memory_mb"],
        "peak_gpu_memory_mb": told["peak_gpu_memory_mb"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=8, help="of the embedded model")
    parser.add_argument("--rounds", type=int, default=3, help="for each prompt")
    parser.add_argument("--large", type=int, default=2, help="prompts of the other model, 0: none")
    parser.add_argument("--keys", type=int, default=300, help="of the typing sessions")
    parser.add_argument("--plot", type=Path, help="draw how cost grows, to this file")
    given = parser.parse_args()
    gpu = torch.cuda.is_available()
    found: dict[str, Any] = {"device": torch.cuda.get_device_name() if gpu else "cpu"}
    with quiet():
        if given.plot:
            needed("matplotlib")
            from benchmarks.growth import draw

            source = "\n".join((unpacked(BOLTONS) / file).read_text("utf-8") for file in FILES)
            draw(Model("pocket", "auto"), source, given.plot)
        for prefix, dtype in (("", "auto"), ("fp32_", "float32")):
            told = measure("pocket", dtype, count=given.prompts, rounds=given.rounds)
            told |= session("pocket", dtype, keys=given.keys)
            found |= {prefix + key: value for key, value in told.items()}
        if given.large:
            large = str(qwen_shape())
            told = measure(large, "auto", count=given.large, rounds=1, prompt=512)
            told |= session(large, "auto", keys=given.keys, prompt=512)
            found |= {"qwen_" + key: value for key, value in told.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
