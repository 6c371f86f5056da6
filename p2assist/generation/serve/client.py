"""The side that asks: a Generator without torch, for editors and commands."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from p2assist import __version__, errors
from p2assist.config import GenerationConfig
from p2assist.errors import ModelError, P2AssistError
from p2assist.experience import Candidate, Task
from p2assist.generation.location import absolute
from p2assist.generation.request import FREE, Context, Control
from p2assist.generation.serve import starting
from p2assist.generation.serve.messages import (
    LONGEST,
    PROTOCOL,
    Answer,
    Cancel,
    Candidates,
    Failed,
    Generate,
    Hello,
    Leave,
    Prepare,
    Report,
    Request,
    Score,
    Spec,
    Status,
    Told,
    Welcome,
    Working,
    clean,
    line,
    told,
)
from p2assist.generation.serve.place import Place

IDLE = 900.0  # seconds
_LOOK = 0.005  # seconds between two looks at whether the caller has lost interest
_WELCOME = 30.0  # seconds: the process greets at once, unless it is stuck
_KNOCK, _KNOCKS = 0.02, 100  # seconds; tries with a process that does not even greet
_GRACE = 10.0  # seconds past a deadline
Say = Callable[[str], None]


class _GoneError(Exception):
    """The process went away before it answered. welcomed: it had begun to listen."""

    welcomed = False


class ModelProcess:
    """The user's model process, started by the first request that finds none.

    idle: seconds without a request after which a process that this client starts leaves. start:
    the command that starts one. May be used by several threads.
    """

    def __init__(
        self, place: Place | None = None, *, idle: float = IDLE, start: Sequence[str] = ()
    ) -> None:
        self.place = place or Place.of_user()
        self._start = tuple(start) or starting.command(self.place, idle)

    def ask(self, request: Request, *, control: Control = FREE, say: Say | None = None) -> Answer:
        """The answer to the request. say: told in words why it takes a while.

        A process that dies meanwhile is started again and asked once more. Raises ModelError
        where there is no answer, what the process raised, and CancelledError as control says.
        """
        died = unheard = 0
        while True:
            try:
                link = starting.reach(self.place, self._start)
                with link:
                    return self._conversation(link, request, control, say)
            except (_GoneError, OSError) as error:
                heard = isinstance(error, _GoneError) and error.welcomed
                died, unheard = died + heard, unheard + (not heard)
                if died > 1 or unheard > _KNOCKS:
                    raise ModelError(
                        f"the model process ended {died + unheard} times while it worked on this: "
                        f"see {self.place.log} and {self.place.errors}"
                    ) from error
                if not heard:  # one that is about to be gone still takes connections
                    time.sleep(_KNOCK)

    def status(self) -> Report | None:
        """How the process is; None where none runs. Starts none."""
        link = self._running()
        if link is None:
            return None
        with link:
            answer = _Lines(link).exchange(Status(), FREE, None)
        return answer if isinstance(answer, Report) else None

    def stop(self, seconds: float = 15.0) -> bool:
        """Has the process leave, and waits for it; False where none ran."""
        link = self._running()
        if link is None:
            return False
        with link, suppress(_GoneError, OSError):
            _Lines(link).exchange(Leave(), FREE, None, any_protocol=True)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            lock = self.place.serving()
            try:
                lock.acquire(timeout=0.2)
            except TimeoutError:
                continue
            lock.release()
            return True
        raise ModelError(f"the model process does not leave: see {self.place.log}")

    def _running(self) -> socket.socket | None:
        return self.place.connect() if self.place.folder.is_dir() else None

    def _conversation(
        self, link: socket.socket, request: Request, control: Control, say: Say | None
    ) -> Answer:
        try:
            answer = _Lines(link).exchange(request, control, say)
        except _OtherVersionError as other:
            if not other.older:
                raise ModelError(
                    f"the model process is of version {other.version}, newer than this one "
                    f"({__version__}): restart this editor or shell"
                ) from None
            link.close()
            self.stop()
            raise _GoneError from None
        if isinstance(answer, Failed):
            raise _error(answer)
        return answer


@dataclass(slots=True)
class ServedGenerator:
    """Implements Generator by asking the user's model process. Importing it imports no torch.

    model: as it is configured; candidates bear it. chosen: the adapter's
    folder and name at this moment, (None, '') for the base model: a new Champion serves the next
    request. window: of an editor; where it is not '', a request supersedes the one
    before it of the same window and path.
    """

    model: str
    process: ModelProcess
    settings: GenerationConfig = field(default_factory=GenerationConfig)
    chosen: Callable[[], tuple[Path | None, str]] = lambda: (None, "")
    window: str = ""
    say: Say | None = None

    @property
    def adapter(self) -> str:
        return self.chosen()[1]

    @property
    def spec(self) -> Spec:
        folder, name = self.chosen()
        return Spec(
            absolute(self.model), self.settings, str(folder.resolve()) if folder else "", name
        )

    def prepare(self) -> None:
        """Returns when the model is loaded. Raises ModelError."""
        self.process.ask(Prepare(self.spec), say=self.say)

    def generate(
        self, task: Task, *, beams: int = 8, context: Context = (), control: Control = FREE
    ) -> list[Candidate]:
        """See Generator. With a deadline, none while the model is still loading."""
        control.check()
        seconds = None
        if control.deadline is not None:
            seconds = max(control.deadline - time.monotonic(), 0.0)
        asked = Generate(
            self.spec,
            _sent(task),
            beams,
            tuple(replace(snippet, text=clean(snippet.text)) for snippet in context),
            seconds,
            f"{self.window}\0{task.path}" if self.window else "",
        )
        return self._candidates(self.process.ask(asked, control=control, say=self.say))

    def score(self, task: Task, texts: Sequence[str]) -> list[Candidate]:
        asked = Score(self.spec, _sent(task), tuple(clean(text) for text in texts))
        found = self._candidates(self.process.ask(asked, say=self.say))
        return [replace(one, text=text) for one, text in zip(found, texts, strict=True)]

    def _candidates(self, answer: Answer) -> list[Candidate]:
        if not isinstance(answer, Candidates):
            raise ModelError(f"the model process answered {type(answer).__name__}, no candidates")
        return [replace(candidate, model=self.model) for candidate in answer.candidates]


class _OtherVersionError(Exception):
    def __init__(self, version: str, *, older: bool) -> None:
        super().__init__(version)
        self.version, self.older = version, older


class _Lines:
    """A connection as messages, read so that the caller's loss of interest is seen at once."""

    def __init__(self, link: socket.socket) -> None:
        self._link, self._buffer = link, bytearray()

    def exchange(
        self, request: Request, control: Control, say: Say | None, *, any_protocol: bool = False
    ) -> Answer:
        with _lost():
            self._link.settimeout(_WELCOME)
            self._link.sendall(line(Hello()) + line(request))
        welcome = self._next(control, time.monotonic() + _WELCOME)
        if not isinstance(welcome, Welcome):
            raise ModelError("what answers at the model process's socket is none")
        if not any_protocol:
            _check(welcome)
        until = None if control.deadline is None else control.deadline + _GRACE
        try:
            return self._answer(control, say, until)
        except _GoneError as error:
            error.welcomed = True
            raise

    def _answer(self, control: Control, say: Say | None, until: float | None) -> Answer:
        while True:
            message = self._next(control, until)
            if isinstance(message, Working):
                if say:
                    say(message.words)
            elif not isinstance(message, Welcome):
                return message

    def _next(self, control: Control, until: float | None) -> Told:
        while (end := self._buffer.find(b"\n")) < 0:
            self._wait(control, until)
            with _lost():
                data = self._link.recv(1 << 16)
            if not data or len(self._buffer) > LONGEST:
                raise _GoneError
            self._buffer += data
        message = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return told(message)

    def _wait(self, control: Control, until: float | None) -> None:
        while not select.select([self._link], [], [], _LOOK if control.cancelled else 0.2)[0]:
            if control.cancelled is not None and control.cancelled.is_set():
                with _lost():
                    self._link.sendall(line(Cancel()))
                control.check()
            if until is not None and time.monotonic() > until:
                raise ModelError(
                    "the model process does not answer in time: end it with `p2assist serve "
                    "--stop`; the next request starts a new one"
                )


@contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        raise _GoneError from error


def _check(welcome: Welcome) -> None:
    mine, theirs = (PROTOCOL, _number(__version__)), (welcome.protocol, _number(welcome.version))
    if theirs < mine:
        raise _OtherVersionError(welcome.version, older=True)
    if welcome.protocol > PROTOCOL:
        raise _OtherVersionError(welcome.version, older=False)


def _number(version: str) -> tuple[int, ...]:
    parts = (part for part in version.replace("+", ".").split("."))
    return tuple(int(part) for part in parts if part.isdecimal())


def _error(failed: Failed) -> P2AssistError:
    kind = getattr(errors, failed.kind, ModelError)
    known = isinstance(kind, type) and issubclass(kind, P2AssistError)
    return kind(failed.words) if known else ModelError(failed.words)


def _sent(task: Task) -> Task:
    """The task without what the model does not look at."""
    return replace(task, source=clean(task.source), tests=())
