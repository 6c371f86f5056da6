"""A real llama.cpp server with the embedded model: `make server` (after `make server-setup`)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2assist.config import GenerationConfig, RemoteConfig
from p2assist.errors import ModelError
from p2assist.experience import SpanKind, Task
from p2assist.generation.remote.generator import RemoteGenerator
from p2assist.generation.request import FREE
from p2assist.pocket import weights_path

if TYPE_CHECKING:
    from p2assist.generation.local import LocalGenerator

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[3]
LLAMA = os.environ.get("P2ASSIST_LLAMA", str(ROOT / ".llama" / "bin" / "python"))
SOURCES = sorted((ROOT / "p2assist" / "generation").glob("*.py"))
SETTINGS = GenerationConfig(max_tokens=32)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from p2assist.pocket.build.gguf import write

    if not Path(LLAMA).exists():
        pytest.fail(f"there is no {LLAMA}: run `make server-setup`")
    file = write(weights_path(), tmp_path_factory.mktemp("gguf") / "pocket.gguf")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--n_ctx", "1024", "--n_threads", "1", "--logits_all", "true"]
    command = [LLAMA, "-m", "llama_cpp.server", "--model", str(file), "--model_alias", "pocket"]
    log = (file.parent / "log").open("w")
    process = subprocess.Popen([*command, "--port", str(port), *options], stdout=log, stderr=log)
    try:
        yield _ready(process, f"http://127.0.0.1:{port}", file.parent / "log")
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _ready(process: subprocess.Popen[bytes], url: str, log: Path) -> str:
    for _ in range(600):
        if process.poll() is not None:
            pytest.fail(f"the server ended: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{url}/v1/models", timeout=5):
                return f"{url}/v1"
        except OSError:
            time.sleep(0.1)
    pytest.fail("the server did not start")


@pytest.fixture(scope="module")
def remote(url: str) -> Iterator[RemoteGenerator]:
    made = RemoteGenerator(RemoteConfig(url=url, model="pocket", timeout=60), generation=SETTINGS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def local() -> LocalGenerator:
    from p2assist.generation.local import LocalGenerator

    return LocalGenerator.load("pocket", config=SETTINGS, dtype="float32")


def tasks() -> list[Task]:
    """The third line of functions of our own files, with little enough above it for any prompt."""
    made = []
    for file in SOURCES:
        lines = file.read_text("utf8")[:1200].split("\n")[:-1]
        for number in range(8, len(lines), 9):
            indent = len(lines[number]) - len(lines[number].lstrip())
            if lines[number].strip() and indent:
                start = sum(len(line) + 1 for line in lines[:number]) + indent
                source = "\n".join(lines)
                end = source.find("\n", start)
                made.append(Task(file.name, source, start, end if end >= 0 else len(source)))
    return made[:12]


def test_it_splits_text_into_the_same_tokens(url: str, local: LocalGenerator) -> None:
    special = ("<|", "<s>")
    texts = [t for t in (f.read_text("utf8") for f in SOURCES) if not any(s in t for s in special)]
    texts += ["naïve — “x” 漢字 \t\t\n\r\n  é 1234 don't\n", "", "\n\n\n", "\t\tx\n"]
    assert len(texts) > 10
    for text in texts[:20]:
        body = json.dumps({"input": text}).encode()
        request = urllib.request.Request(
            url.replace("/v1", "/extras/tokenize"), body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["tokens"] == local.encoder.vocabulary.encode(text)


def test_it_writes_the_same_tokens_where_both_are_greedy(remote: RemoteGenerator) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(weights_path(), dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(weights_path())
    for task in tasks():
        text = task.prefix.rstrip(" ")
        ids = tokenizer(text, return_tensors="pt")
        written = model.generate(**ids, max_new_tokens=20, do_sample=False, pad_token_id=0)
        ours = tokenizer.decode(written[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        request = {"model": "pocket", "prompt": text, "max_tokens": 20, "temperature": 0}
        request["repeat_penalty"] = 1.0
        [[choice]] = remote._client.complete([request], FREE)
        assert choice["text"] == ours


def test_its_candidates_have_the_log_probabilities_of_ours(
    remote: RemoteGenerator, local: LocalGenerator
) -> None:
    alike = 0
    for task in tasks()[:6]:
        ours = {c.text: c for c in local.generate(task, beams=8)}
        made = remote.generate(task, beams=8)
        assert made and [c.rank for c in made] == list(range(len(made)))
        for theirs in made:
            same = ours.get(theirs.text)
            if same and same.num_tokens == theirs.num_tokens:
                alike += 1
                assert theirs.logprob == pytest.approx(same.logprob, abs=5e-3)
    assert alike >= 12


def test_a_block_ends_at_its_dedent(remote: RemoteGenerator) -> None:
    prefix = "def total(items):\n    result = 0\n    for item in items:\n        "
    made = remote.generate(Task("a.py", prefix, len(prefix), len(prefix), SpanKind.BLOCK), beams=4)
    assert made
    for candidate in made:
        _, *others = candidate.text.split("\n")
        assert all(line.startswith(" " * 8) for line in others if line)


def test_its_echo_is_off_by_a_token_and_is_not_believed(remote: RemoteGenerator) -> None:
    with pytest.raises(ModelError, match="with vLLM's server"):
        remote.score(tasks()[0], ["x"])


def test_the_command_completes_by_the_server_that_the_user_names(url: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[remote]\nurl = "{url}"\nmodel = "pocket"\ntimeout = 60\n')
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.py").write_text("def add(a, b):\n    return a + b\n")
    command = [sys.executable, "-m", "p2assist.cli", "complete", "a.py:2:12", "--json"]
    env = os.environ | {"P2ASSIST_CONFIG": str(config)}
    done = subprocess.run(
        [*command, "--repo", str(tmp_path / "shop")],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(rows) > 2 and all(0 < row["possibility"] <= 1 for row in rows)
