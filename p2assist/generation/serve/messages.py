"""What a client and the model process say to each other: one JSON object a line, in ASCII.

A connection carries one request. The client says Hello and the request, in one breath; the process
says Welcome, any number of Working, and one answer, then closes. What the client says after its
request, and its going away, cancels it. Hello, Welcome and Leave are the same in every version of
the protocol, so that a newer client can send an older process away.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from p2assist import __version__
from p2assist.config import GenerationConfig
from p2assist.errors import ModelError
from p2assist.experience import Candidate, Task
from p2assist.generation.request import Context

PROTOCOL = 1
LONGEST = 64 << 20  # bytes of a line: a source file and its context are far below
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Spec:
    """A model with an adapter. model: what LocalGenerator.load takes, a folder as an absolute
    path. adapter: the adapter's folder, '' for the base model."""

    model: str
    settings: GenerationConfig = field(default_factory=GenerationConfig)
    adapter: str = ""
    adapter_name: str = ""

    @property
    def base(self) -> Spec:
        """The same model without an adapter."""
        return replace(self, adapter="", adapter_name="")


@dataclass(frozen=True, slots=True)
class Hello:
    protocol: int = PROTOCOL
    version: str = __version__
    do: Literal["hello"] = "hello"


@dataclass(frozen=True, slots=True)
class Generate:
    """Generator.generate. seconds: from now to the deadline. document: where it is not '', this
    request supersedes the one before it of the same document."""

    spec: Spec
    task: Task
    beams: int = 8
    context: Context = ()
    seconds: float | None = None
    document: str = ""
    do: Literal["generate"] = "generate"


@dataclass(frozen=True, slots=True)
class Score:
    """Generator.score."""

    spec: Spec
    task: Task
    texts: tuple[str, ...]
    do: Literal["score"] = "score"


@dataclass(frozen=True, slots=True)
class Prepare:
    """Load the model now. The answer, Ready, comes when it is."""

    spec: Spec
    do: Literal["prepare"] = "prepare"


@dataclass(frozen=True, slots=True)
class Status:
    do: Literal["status"] = "status"


@dataclass(frozen=True, slots=True)
class Leave:
    """Finish what is being answered, and end."""

    do: Literal["leave"] = "leave"


@dataclass(frozen=True, slots=True)
class Cancel:
    do: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True)
class Welcome:
    protocol: int
    version: str
    pid: int
    say: Literal["welcome"] = "welcome"


@dataclass(frozen=True, slots=True)
class Working:
    """Why there is no answer yet, in words for people: 'loading pocket'."""

    words: str
    say: Literal["working"] = "working"


@dataclass(frozen=True, slots=True)
class Candidates:
    candidates: tuple[Candidate, ...] = ()
    say: Literal["candidates"] = "candidates"


@dataclass(frozen=True, slots=True)
class Ready:
    say: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True)
class Failed:
    """kind: the name of a class of p2assist.errors."""

    kind: str
    words: str
    say: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class HeldModel:
    """adapters: names of those that are held beside the base model."""

    model: str
    state: Literal["loading", "ready", "failed"]
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """uptime, idle: seconds; idle is for how long nothing was asked, and leaves_after when the
    process goes. rss_mb: resident memory, MiB. busy: requests being answered; answered: so far."""

    pid: int
    version: str
    uptime: float
    idle: float
    leaves_after: float
    rss_mb: float
    busy: int
    answered: int
    models: tuple[HeldModel, ...] = ()
    say: Literal["report"] = "report"


@dataclass(frozen=True, slots=True)
class Leaving:
    say: Literal["leaving"] = "leaving"


Request = Generate | Score | Prepare | Status | Leave
Said = Hello | Request | Cancel
Answer = Candidates | Ready | Failed | Report | Leaving
Told = Welcome | Working | Answer
_SAID: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Field(discriminator="do")])
_TOLD: TypeAdapter[Told] = TypeAdapter(Annotated[Told, Field(discriminator="say")])


def line(message: Said | Told) -> bytes:
    """The message as a line of the protocol."""
    kind: TypeAdapter[Any] = _SAID if hasattr(message, "do") else _TOLD
    return json.dumps(kind.dump_python(message, mode="json")).encode("ascii") + b"\n"


def said(data: bytes) -> Said:
    """A client's message. Raises ModelError where it is none of this protocol."""
    message: Said = _parsed(_SAID, data)
    return message


def told(data: bytes) -> Told:
    """The process's message. Raises ModelError where it is none of this protocol."""
    message: Told = _parsed(_TOLD, data)
    return message


def clean(text: str) -> str:
    """The text with lone surrogates, which no tokenizer takes, replaced one for one."""
    return _SURROGATE.sub("�", text)


def _parsed(kind: TypeAdapter[Any], data: bytes) -> Any:
    try:
        return kind.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise ModelError(
            f"the model process and its client do not understand each other ({first}): end it "
            "with `p2assist serve --stop`, and restart editors that were open during an upgrade"
        ) from error
