"""Who answers: connections, cancellation, and when the process leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import psutil

from p2assist import __version__
from p2assist.errors import ModelError, P2AssistError
from p2assist.experience import Candidate
from p2assist.generation.generator import Generator
from p2assist.generation.request import Control
from p2assist.generation.serve import messages
from p2assist.generation.serve.memory import give_back
from p2assist.generation.serve.messages import (
    LONGEST,
    PROTOCOL,
    Answer,
    Candidates,
    Failed,
    Generate,
    Hello,
    Leave,
    Leaving,
    Prepare,
    Ready,
    Report,
    Request,
    Score,
    Spec,
    Status,
    Told,
    Welcome,
    Working,
    line,
)
from p2assist.generation.serve.models import Held, Load, Models
from p2assist.generation.serve.place import Place

_PATIENCE = 10.0  # seconds that a leaving process gives to what it is answering
_LOOK = 1.0  # seconds between two looks at the clock
_STILL = 1.0  # seconds without a request after which free memory goes back
_SAY_SO = 0.05  # seconds of loading before it is told
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Server:
    """Answers at the place until nobody has asked for `idle` seconds.

    Whoever holds Place.serving() may run it. Requests of one base model are decoded one after the
    other, in the order they came; a connection that closes takes its request with it.
    """

    def __init__(self, place: Place, load: Load, *, idle: float) -> None:
        self._place, self._idle = place, idle
        self._models = Models(load)
        self._documents: dict[str, threading.Event] = {}
        self._talks: set[asyncio.Task[None]] = set()
        self._leaving = asyncio.Event()
        self._began = self._asked = time.monotonic()
        self._busy = self._answered = 0

    async def run(self) -> None:
        """Returns when it has left; the socket is gone then."""
        address = self._place.address
        address.unlink(missing_ok=True)  # of a process that was killed
        server = await asyncio.start_unix_server(self._accept, str(address), limit=LONGEST)
        address.chmod(0o600)
        mine = address.stat().st_ino
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ValueError, RuntimeError):  # only in the main thread
                loop.add_signal_handler(number, self._leaving.set)
        _log.info("process %d of version %s answers at %s", os.getpid(), __version__, address)
        await self._until_idle(mine)
        server.close()
        if self._is_at(mine):
            address.unlink(missing_ok=True)
        if self._talks:
            _, late = await asyncio.wait(self._talks, timeout=_PATIENCE)
            for talk in late:
                talk.cancel()
        _log.info("left after %d answers", self._answered)

    async def _until_idle(self, mine: int) -> None:
        trimmed = 0
        while not self._leaving.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), min(_LOOK, self._idle / 4))
            still = 0.0 if self._busy else time.monotonic() - self._asked
            if still > self._idle or not self._is_at(mine):
                self._leaving.set()
            elif still > _STILL and self._answered != trimmed:
                trimmed = self._answered
                give_back()

    def _is_at(self, inode: int) -> bool:
        """Whether the socket is still this process's: folders of the run time get cleaned."""
        try:
            return self._place.address.stat().st_ino == inode
        except OSError:
            return False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            await self._talk(_Link(reader, writer))
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass  # the client is gone, or talks without end
        except asyncio.CancelledError:
            pass  # the process leaves
        except ModelError as error:
            _log.warning("%s", error)
        finally:
            self._talks.discard(talk)
            writer.close()

    async def _talk(self, link: _Link) -> None:
        hello = await link.said()
        await link.tell(Welcome(PROTOCOL, __version__, os.getpid()))
        if not isinstance(hello, Hello):
            return
        request = await link.said()
        if request is None or isinstance(request, Hello | messages.Cancel):
            return
        if hello.protocol != PROTOCOL and not isinstance(request, Leave):
            return
        stop = threading.Event()
        working = asyncio.create_task(self._answer(request, link, stop))
        listening = asyncio.create_task(link.anything())
        try:
            await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await link.tell(working.result())
        finally:
            stop.set()
            listening.cancel()
            working.cancel()

    async def _answer(self, request: Request, link: _Link, stop: threading.Event) -> Answer:
        try:
            match request:
                case Status():
                    return self._report()
                case Leave():
                    self._leaving.set()
                    return Leaving()
                case Prepare(spec):
                    async with self._working():
                        await self._loaded(self._models.held(spec), spec, link)
                    return Ready()
                case _:
                    async with self._working(), self._only(request, stop):
                        return Candidates(tuple(await self._decode(request, link, stop)))
        except P2AssistError as error:
            return Failed(type(error).__name__, str(error))
        except Exception as error:
            _log.exception("a request failed")
            words = f"the model process failed ({type(error).__name__}: {error})"
            return Failed("ModelError", f"{words}: see {self._place.log}")

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._answered += 1
            self._asked = time.monotonic()

    @asynccontextmanager
    async def _only(self, request: Generate | Score, stop: threading.Event) -> AsyncIterator[None]:
        """The request as the only one of its document."""
        name = request.document if isinstance(request, Generate) else ""
        if name and name in self._documents:
            self._documents[name].set()
        if name:
            self._documents[name] = stop
        try:
            yield
        finally:
            if self._documents.get(name) is stop:
                del self._documents[name]

    async def _decode(
        self, request: Generate | Score, link: _Link, stop: threading.Event
    ) -> list[Candidate]:
        """What the model says; nothing where the deadline comes before its turn."""
        held = self._models.held(request.spec)
        seconds = request.seconds if isinstance(request, Generate) else None
        deadline = None if seconds is None else time.monotonic() + seconds
        held.busy += 1
        try:
            async with asyncio.timeout(seconds):
                generator = await self._loaded(held, request.spec, link)
        except TimeoutError:
            return []
        finally:
            held.busy -= 1
        control = Control(deadline=deadline, cancelled=stop)
        return await self._in_turn(held, lambda: _decoded(generator, request, control), deadline)

    async def _in_turn(
        self, held: Held, job: Callable[[], list[Candidate]], deadline: float | None
    ) -> list[Candidate]:
        held.busy += 1
        try:
            turn = held.decoder.submit(job)
            running = asyncio.wrap_future(turn)
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            await asyncio.wait({running}, timeout=left)
            if not running.done() and turn.cancel():
                return []
            return await running
        finally:
            held.busy -= 1

    async def _loaded(self, held: Held, spec: Spec, link: _Link) -> Generator:
        """The generator; where it takes a while the client is told."""
        if held.ready(spec):
            return await held.generator(spec)
        loading = asyncio.create_task(held.generator(spec))
        try:
            done, _ = await asyncio.wait({loading}, timeout=_SAY_SO)
            if not done:
                name = f" with {spec.adapter_name}" if spec.adapter_name else ""
                await link.tell(Working(f"loading {spec.model}{name}"))
            return await loading
        finally:
            loading.cancel()

    def _report(self) -> Report:
        now = time.monotonic()
        return Report(
            pid=os.getpid(),
            version=__version__,
            uptime=now - self._began,
            idle=0.0 if self._busy else now - self._asked,
            leaves_after=self._idle,
            rss_mb=psutil.Process().memory_info().rss / (1 << 20),
            busy=self._busy,
            answered=self._answered,
            models=self._models.told(),
        )


class _Link:
    """A connection as messages."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def said(self) -> messages.Said | None:
        data = await self._reader.readline()
        return messages.said(data) if data.endswith(b"\n") else None

    async def anything(self) -> None:
        """Returns when the client says something more, or is gone."""
        with contextlib.suppress(OSError):
            await self._reader.read(1)

    async def tell(self, message: Told) -> None:
        self._writer.write(line(message))
        await self._writer.drain()


def _decoded(generator: Generator, request: Generate | Score, control: Control) -> list[Candidate]:
    control.check()
    if isinstance(request, Score):
        return generator.score(request.task, request.texts)
    if control.expired:
        return []
    return generator.generate(
        request.task, beams=request.beams, context=request.context, control=control
    )
