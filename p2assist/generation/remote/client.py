"""Requests to one server: many at once, each retried where that helps, all cancelled at once."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

import httpx2
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from p2assist.config import RemoteConfig
from p2assist.errors import ModelError
from p2assist.generation.request import Control

_ATTEMPTS = 3
_AT_ONCE = 8  # requests of one completion that are under way together
_LOOK = 0.02  # seconds between two looks at whether the caller has lost interest
_BUSY = frozenset((429, 502, 503, 504))
_MOST_ERROR = 300  # characters of a server's own words that are passed on
T = TypeVar("T")


class Client:
    """config: the user's settings. The connections live in a thread of their own, which starts
    with the first request and ends with the process; `close` ends it before.

    For several threads at once.
    """

    def __init__(self, config: RemoteConfig) -> None:
        self.config = config
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http: httpx2.AsyncClient | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def complete(
        self, requests: Sequence[Mapping[str, Any]], control: Control
    ) -> list[list[dict[str, Any]]]:
        """The choices of each request, in order; [] for those that the deadline cut off.

        Raises ModelError where the server refuses, cannot be reached or answers nonsense, and
        CancelledError as control says: the connections are closed, so that the server stops too.
        """
        return self._run(self._gather(requests, control), control)

    def close(self) -> None:
        """Closes the connections. The client may be used again."""
        with self._starting:
            loop, self._loop = self._loop, None
            http, self._http = self._http, None
            thread, self._thread = self._thread, None
        if loop is None or thread is None:
            return
        if http is not None:
            asyncio.run_coroutine_threadsafe(http.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _run(self, coroutine: Coroutine[Any, Any, T], control: Control) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._started())
        try:
            while True:
                control.check()
                try:
                    return future.result(timeout=_LOOK)
                except FutureTimeout:
                    if future.done():
                        raise
                except FutureCancelled as error:
                    raise ModelError("the requests to the server were ended") from error
        finally:
            future.cancel()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_forever, args=(self._loop,), name="p2assist-remote", daemon=True
                )
                self._thread.start()
            return self._loop

    async def _gather(
        self, requests: Sequence[Mapping[str, Any]], control: Control
    ) -> list[list[dict[str, Any]]]:
        room = asyncio.Semaphore(_AT_ONCE)
        tasks = [asyncio.create_task(self._ask(request, room)) for request in requests]
        left = None if control.deadline is None else max(control.left, 0.0)  # of seconds
        try:
            _, late = await asyncio.wait(tasks, timeout=left)
            return [[] if task in late else task.result() for task in tasks]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(
        self, request: Mapping[str, Any], room: asyncio.Semaphore
    ) -> list[dict[str, Any]]:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            retry=retry_if_exception(_passes),
            reraise=True,
        )
        try:
            async with room:
                answer: httpx2.Response = await retrying(self._post, request)
            return _choices(answer)
        except httpx2.TimeoutException as error:
            raise ModelError(
                f"{self.config.url} gave no answer within {self.config.timeout:g} s: is it "
                "overloaded? `timeout` of [remote] in your settings may be raised"
            ) from error
        except httpx2.TransportError as error:
            raise ModelError(
                f"{self.config.url} cannot be reached ({error}): is the server running, and is "
                "`url` of [remote] in your settings right?"
            ) from error

    async def _post(self, request: Mapping[str, Any]) -> httpx2.Response:
        answer = await self._client().post("completions", json=dict(request))
        if answer.status_code in _BUSY:
            raise _BusyError(self._refused(answer))
        if answer.status_code != httpx2.codes.OK:
            raise ModelError(self._refused(answer))
        return answer

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            self._http = httpx2.AsyncClient(
                base_url=self.config.url.rstrip("/") + "/",
                headers=_key(self.config),
                timeout=self.config.timeout,
                verify=self.config.url.startswith("https:"),  # certificates take 0.3 s to load
            )
        return self._http

    def _refused(self, answer: httpx2.Response) -> str:
        said = _words(answer)
        url, code = self.config.url, answer.status_code
        if code in (401, 403):
            name = self.config.key or "<not set>"
            return f"{url} wants another key ({said}): `key` of [remote] names the variable {name}"
        if code == httpx2.codes.NOT_FOUND:
            return (
                f"{url} has no completions, or no model {self.config.model!r} ({said}): `url` ends "
                "with /v1 as a rule, and `model` is one that GET models lists"
            )
        return f"{url} answered {code}: {said}"


def _forever(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


class _BusyError(ModelError):
    """The server is busy, or starting."""


def _passes(error: BaseException) -> bool:
    """Whether the same request may well succeed a moment later."""
    return isinstance(error, _BusyError | httpx2.ConnectError | httpx2.RemoteProtocolError)


def _key(config: RemoteConfig) -> dict[str, str]:
    if not config.key:
        return {}
    value = os.environ.get(config.key)
    if not value:
        raise ModelError(
            f"the environment variable {config.key} is not set: `key` of [remote] in your settings "
            "says that it holds the server's key"
        )
    return {"Authorization": f"Bearer {value}"}


def _words(answer: httpx2.Response) -> str:
    """What the server says of it, in one line."""
    try:
        said = answer.json()
    except ValueError:
        said = answer.text
    if isinstance(said, dict):
        said = said.get("error", said.get("detail", said.get("message", said)))
    if isinstance(said, dict):
        said = said.get("message", said)
    return " ".join(f"{said}".split())[:_MOST_ERROR] or "nothing more"


def _choices(answer: httpx2.Response) -> list[dict[str, Any]]:
    try:
        choices = answer.json()["choices"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "the server's answer is no completion: is it OpenAI-compatible?"
        ) from error
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise ModelError("the server's answer is no completion: is it OpenAI-compatible?")
    return choices
