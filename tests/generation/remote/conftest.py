"""A completions server in this process: a model that knows a handful of lines by heart."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

_TOKEN = re.compile(r"\n| ?[^\s]+| +")


@dataclass
class Model:
    """lines: what it may write behind any prompt, with the log-probability of each one's first
    token; every later token has -0.5. The rest says how the server behaves."""

    lines: dict[str, float] = field(
        default_factory=lambda: {" a + b\n": -0.5, " b - a\n": -1.0, " None\n": -3.0}
    )
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # of the next answers, 200 after them
    delay: float = 0.0
    without_logprobs: bool = False
    echo_shift: int = 0  # of the log-probabilities of an echoed prompt, as a server got it wrong
    raw: bytes | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        most, prompt = request["max_tokens"], request["prompt"]
        if request.get("use_beam_search"):
            return {"choices": [self._choice(line, most) for line in [*self.lines][: request["n"]]]}
        begun = [line for line in self.lines if prompt.endswith(line[: len(_first(line))])]
        line = max(self.lines, key=lambda each: self.lines[each])
        rest = begun[0][len(_first(begun[0])) :] if begun and not request.get("echo") else line
        if request.get("echo"):
            return {"choices": [self._echo(prompt)]}
        return {"choices": [self._choice(rest, most, request.get("stop", []))]}

    def _choice(self, text: str, most: int, stop: list[str] | None = None) -> dict[str, Any]:
        tokens = _TOKEN.findall(text)
        kept = tokens[:most]
        logprobs = [self.lines.get(text, -0.5) if n == 0 else -0.5 for n in range(len(kept))]
        top = {_first(line): value for line, value in self.lines.items()}
        shown = "".join(kept)
        for mark in stop or []:
            shown = shown.partition(mark)[0]
        return {
            "text": shown,
            "finish_reason": "length" if len(kept) < len(tokens) else "stop",
            "logprobs": None
            if self.without_logprobs
            else {"tokens": kept, "token_logprobs": logprobs, "top_logprobs": [top]},
        }

    def _echo(self, prompt: str) -> dict[str, Any]:
        tokens = _TOKEN.findall(prompt)
        logprobs = [None, *[-0.5] * (len(tokens) - 1)]
        if self.echo_shift:
            logprobs = [None, *[-9.0] * (len(tokens) - 1)]
        told = {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": None}
        return {"text": prompt, "finish_reason": "length", "logprobs": told}


def _first(line: str) -> str:
    return _TOKEN.findall(line)[0]


@dataclass
class Server:
    url: str
    model: Model


@pytest.fixture
def server() -> Iterator[Server]:
    model = Model()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            model.requests.append(json.loads(self.rfile.read(size)))
            model.headers.append({k.lower(): v for k, v in self.headers.items()})
            model.over.wait(model.delay)
            status = model.statuses.pop(0) if model.statuses else 200
            body = {"error": {"message": f"status {status} it is"}}
            if status == 200 and self.path == "/v1/completions":
                body = model.answer(model.requests[-1])
            data = json.dumps(body).encode() if model.raw is None else model.raw
            self.send_response(status if self.path == "/v1/completions" else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = False  # waited for at the end
    http.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield Server(f"http://127.0.0.1:{http.server_port}/v1", model)
    model.over.set()
    http.shutdown()
    http.server_close()


@pytest.fixture
def make(server: Server) -> Iterator[Callable[..., Any]]:
    """A RemoteGenerator of the server; settings override."""
    from p2assist.config import GenerationConfig, RemoteConfig
    from p2assist.generation.remote.generator import RemoteGenerator

    made: list[RemoteGenerator] = []

    def one(*, adapter: str = "", max_tokens: int = 32, **settings: Any) -> RemoteGenerator:
        config = RemoteConfig(**{"url": server.url, "model": "m", "timeout": 5.0} | settings)
        generation = GenerationConfig(max_tokens=max_tokens)
        made.append(RemoteGenerator(config, adapter=adapter, generation=generation))
        return made[-1]

    yield one
    for generator in made:
        generator.close()
