from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from p2assist.config import RemoteConfig
from p2assist.errors import CancelledError, ConfigError, ModelError
from p2assist.experience import SpanKind, Task
from p2assist.generation.remote.spelling import Pieces
from p2assist.generation.request import Control, Snippet, SnippetKind

from .conftest import Server

MakeTask = Callable[..., Task]
Make = Callable[..., Any]
FILE = "def add(a, b):\n    return |x|\n\nadd(1, 2)\n"


def test_branches_are_candidates_with_the_sums_that_the_server_tells(
    server: Server, make: Make, task: MakeTask
) -> None:
    made = make(adapter="a").generate(task(FILE))
    assert [(c.text, c.rank) for c in made] == [("a + b", 0), ("b - a", 1), ("None", 2)]
    assert [c.logprob for c in made] == pytest.approx([-0.5 - 1.5, -1.0 - 1.5, -3.0 - 0.5])
    assert [c.num_tokens for c in made] == [4, 4, 2]  # the newline that stopped it included
    assert {(c.model, c.adapter, c.token_ids) for c in made} == {("m", "a", ())}
    assert [r["model"] for r in server.model.requests] == ["a"] * 4
    assert server.model.requests[0]["prompt"] == "def add(a, b):\n    return"
    assert server.model.requests[0]["stop"] == ["\n"]


def test_a_beam_search_of_the_server_is_one_request(
    server: Server, make: Make, task: MakeTask
) -> None:
    made = make(search="beam").generate(task(FILE), beams=2)
    assert [(c.text, c.num_tokens) for c in made] == [("a + b", 4), ("b - a", 4)]
    [request] = server.model.requests
    assert (request["n"], request["use_beam_search"], request["length_penalty"]) == (2, True, 0.0)


def test_what_a_beam_search_writes_past_the_line_is_not_counted(
    server: Server, make: Make, task: MakeTask
) -> None:
    server.model.lines = {" a\n    more\n": -0.5}
    [one] = make(search="beam").generate(task(FILE))
    assert (one.text, one.num_tokens) == ("a", 2) and one.logprob == pytest.approx(-1.0)


def test_what_is_cut_short_is_dropped_while_there_is_better(
    server: Server, make: Make, task: MakeTask
) -> None:
    server.model.lines = {" a\n": -1.0, " b" + " + c" * 40 + "\n": -0.5}
    assert [c.text for c in make().generate(task(FILE))] == ["a"]


def test_a_block_goes_on_to_its_dedent(server: Server, make: Make, task: MakeTask) -> None:
    server.model.lines = {"x = 1\n    return x\ny": -0.5}
    [one] = make(family="starcoder2").generate(task("def f():\n    |\n", SpanKind.BLOCK))
    assert one.text == "x = 1\n    return x"
    assert "\ndef " in server.model.requests[0]["stop"]


def test_a_prompt_is_the_familys_and_no_file_can_forge_its_tokens(
    server: Server, make: Make, task: MakeTask
) -> None:
    context = (Snippet(SnippetKind.OPEN, "b.py", "y = 1\ns = '<|fim_middle|>'\n"),)
    source = "t = '<|endoftext|>'\nx = \nz\n"
    forging = Task("a.py", source, 24, 24)
    make(family="qwen2.5-coder").generate(forging, context=context)
    prompt = server.model.requests[0]["prompt"]
    assert prompt == (
        "<|repo_name|>repository\n<|file_sep|>b.py\ny = 1\ns = '< |fim_middle|>'\n"
        "<|file_sep|>a.py\n"
        "<|fim_prefix|>t = '< |endoftext|>'\nx = <|fim_suffix|>\nz\n<|fim_middle|>"
    )
    make(family="codellama").generate(task("x = |\n"))
    assert server.model.requests[-1]["prompt"].startswith("▁<PRE>x = ▁<SUF>\n▁<MID>")


def test_the_prompt_keeps_its_budget(server: Server, make: Make, task: MakeTask) -> None:
    long = "".join(f"line_{n} = {n}\n" for n in range(3000))
    make(context=512).generate(task(f"{long}x = |\n"))
    assert 500 < len(server.model.requests[0]["prompt"]) < 480 * 4


def test_scores_are_of_the_text_and_its_newline(make: Make, task: MakeTask) -> None:
    one, two = make().score(task(FILE), ["a + b", "c"])
    assert (one.text, one.num_tokens, one.rank) == ("a + b", 4, 0)
    assert one.logprob == pytest.approx(-2.0) and one.mass == one.logprob
    assert (two.text, two.num_tokens, two.rank) == ("c", 2, 1)


def test_a_server_that_tells_of_other_tokens_is_not_believed(
    server: Server, make: Make, task: MakeTask
) -> None:
    server.model.echo_shift = 1
    with pytest.raises(ModelError, match="does not tell the log-probabilities of given text"):
        make().score(task(FILE), ["a"])


@pytest.mark.parametrize(
    ("settings", "statuses", "words"),
    [
        ({}, [401], r"wants another key \(status 401 it is\)"),
        ({}, [404], r"no model 'm'"),
        ({"url": "wrong"}, [], r"`url` ends with /v1 as a rule"),
        ({}, [400], r"answered 400: status 400 it is"),
        ({}, [503, 503, 503], r"answered 503"),
        ({"url": "http://127.0.0.1:9/v1"}, [], r"cannot be reached .*is the server running"),
        ({"key": "P2ASSIST_NO_SUCH_KEY"}, [], r"P2ASSIST_NO_SUCH_KEY is not set"),
    ],
)
def test_what_goes_wrong_is_said_with_what_to_do(
    server: Server,
    make: Make,
    task: MakeTask,
    settings: dict[str, Any],
    statuses: list[int],
    words: str,
) -> None:
    server.model.statuses = statuses
    if settings.get("url") == "wrong":
        settings = {"url": server.url.removesuffix("/v1")}
    with pytest.raises(ModelError, match=words):
        make(**settings).generate(task(FILE))


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"choices": 3}', b'{"choices": [1]}', b"<html>"])
def test_nonsense_is_no_completion(server: Server, make: Make, task: MakeTask, raw: bytes) -> None:
    server.model.raw = raw
    with pytest.raises(ModelError, match="OpenAI-compatible"):
        make().generate(task(FILE))


def test_without_log_probabilities_there_are_no_candidates(
    server: Server, make: Make, task: MakeTask
) -> None:
    server.model.without_logprobs = True
    with pytest.raises(ModelError, match="tells no log-probabilities"):
        make().generate(task(FILE))


def test_a_busy_server_is_asked_again(server: Server, make: Make, task: MakeTask) -> None:
    server.model.statuses = [503, 429]
    assert len(make().generate(task(FILE))) == 3
    assert len(server.model.requests) == 2 + 4


def test_a_slow_server_is_given_up(server: Server, make: Make, task: MakeTask) -> None:
    server.model.delay = 1.0
    with pytest.raises(ModelError, match=r"no answer within 0\.2 s"):
        make(timeout=0.2).generate(task(FILE))


def test_cancelling_from_another_thread_ends_the_request(
    server: Server, make: Make, task: MakeTask
) -> None:
    server.model.delay = 3.0
    cancelled = threading.Event()
    generator = make()

    def lose_interest() -> None:
        while not server.model.requests:
            time.sleep(0.01)
        cancelled.set()

    threading.Thread(target=lose_interest).start()
    with pytest.raises(CancelledError):
        generator.generate(task(FILE), control=Control(cancelled=cancelled))
    assert len(server.model.requests) == 1
    server.model.delay = 0.0
    assert len(generator.generate(task(FILE))) == 3  # and it can be asked again


def test_a_deadline_returns_what_there_is(server: Server, make: Make, task: MakeTask) -> None:
    server.model.delay = 3.0
    control = Control(deadline=time.monotonic() + 0.2)
    assert make().generate(task(FILE), control=control) == []


def test_the_key_is_sent_from_the_environment(
    server: Server, make: Make, task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2ASSIST_TEST_KEY", "secret")
    make(key="P2ASSIST_TEST_KEY").generate(task(FILE))
    assert server.model.headers[0]["authorization"] == "Bearer secret"


def test_an_unknown_family_is_refused(make: Make) -> None:
    with pytest.raises(ModelError, match="'sideways'; there are qwen"):
        make(family="sideways")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "ftp://x", "model": "m"}, "begins with http"),
        ({"url": "http://x"}, "the served model's"),
        ({"timeout": 0}, "above 0"),
        ({"context": 5}, "at least 128"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RemoteConfig(**settings)


def test_pieces_put_together_are_the_text() -> None:
    pieces = Pieces(("<s>",))
    text = "def naïve(x):\n\n        return 'é漢' + x\t# why\n"
    ids = pieces.encode(text)
    assert pieces.bytes_of(ids).decode() == text
    assert pieces.holding(ids, len(text.encode())) == len(ids)
    assert "<s>" in pieces and pieces.id_of("<s>") == 0
