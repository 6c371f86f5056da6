"""The wire itself: what the process does with clients that are not ours."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest

from p2assist.experience import Task
from p2assist.generation.serve.client import ServedGenerator
from p2assist.generation.serve.messages import Hello, Status, line
from p2assist.generation.serve.place import Place

Asked = Callable[[str], ServedGenerator]
TASK = Task("a.py", "x = 1\n", 4, 5)
HELLO = line(Hello())


def spoken(place: Place, data: bytes) -> list[dict[str, object]]:
    """What is answered to the bytes, until the process closes."""
    link = place.connect()
    assert link is not None
    with link:
        link.settimeout(30)
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
        answer = b""
        while more := link.recv(1 << 16):
            answer += more
    return [json.loads(one) for one in answer.splitlines()]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80\x04pickle\n",
        b'{"do": "hello"}\n{"do": "generate"}\n',
        HELLO + b'{"do": "generate", "spec": {"model": "x"}, "task": {"path": 1}}\n',
        HELLO + HELLO,
        HELLO + b'{"do": "cancel"}\n',
        HELLO + b'{"do": "nothing that there is"}\n',
        HELLO + b"x" * 100_000,
        HELLO + line(Status())[:-5],
    ],
)
def test_malformed_words_end_the_connection_and_nothing_else(
    asked: Asked, place: Place, data: bytes
) -> None:
    fake = asked("fake")
    fake.generate(TASK)
    answers = spoken(place, data)
    assert [one["say"] for one in answers] in ([], ["welcome"])
    assert fake.generate(TASK)


def test_the_words_are_lines_of_json(asked: Asked, place: Place) -> None:
    asked("fake").generate(TASK)
    link = place.connect()
    assert link is not None
    with link, link.makefile("rwb") as stream:
        stream.write(b'{"do": "hello", "protocol": 1, "version": "0.1.0"}\n{"do": "status"}\n')
        stream.flush()
        assert json.loads(stream.readline())["say"] == "welcome"
        report = json.loads(stream.readline())
    assert report["say"] == "report"
    assert report["models"] == [{"model": "fake", "state": "ready", "adapters": []}]
    assert report["rss_mb"] > 1


def test_only_the_user_may_come_near(asked: Asked, place: Place) -> None:
    place.folder.chmod(0o755)
    asked("fake").generate(TASK)
    assert place.folder.stat().st_mode & 0o777 == 0o700
    assert place.address.stat().st_mode & 0o777 == 0o600
