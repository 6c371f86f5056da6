"""The commands of PROTOCOL.md. Each takes an editor and the client's arguments, plain values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pygls.uris import to_fs_path

from p2assist.experience import FeedbackKind
from p2assist_lsp import words
from p2assist_lsp.editor import Editor
from p2assist_lsp.offers import Choice, Offer, told
from p2assist_lsp.session import Session
from p2assist_lsp.text import points

Arguments = Sequence[Any]
Found = tuple[Session, Offer, Choice]


async def accepted(editor: Editor, arguments: Arguments) -> None:
    _say(editor, arguments, FeedbackKind.ACCEPTED)


async def partially_accepted(editor: Editor, arguments: Arguments) -> None:
    """acceptedLength is cumulative; what makes the whole text is an acceptance."""
    found = _found(editor, arguments)
    length = _first(arguments).get("acceptedLength")
    if found is None or not isinstance(length, int):
        return
    session, offer, choice = found
    if points(choice.text, length, "utf-16") >= len(choice.text):
        session.say(offer, choice, FeedbackKind.ACCEPTED)
    elif length > 0:
        session.part(offer)


async def rejected(editor: Editor, arguments: Arguments) -> None:
    _say(editor, arguments, FeedbackKind.REJECTED)


async def shown(editor: Editor, arguments: Arguments) -> None:
    found = _found(editor, arguments)
    if found:
        found[2].shown = True


async def never(editor: Editor, arguments: Arguments) -> None:
    found = _found(editor, arguments)
    if found:
        session, offer, choice = found
        session.never(offer, choice)


async def why(editor: Editor, arguments: Arguments) -> dict[str, Any]:
    found = _found(editor, arguments)
    if found is None:
        return {"markdown": "p2assist: nothing was offered there", "candidates": []}
    session, offer, _ = found
    settings = session.folder.p2value
    return {
        "markdown": words.why(offer, settings),
        "candidates": offer.told(settings)["candidates"],
    }


async def test(editor: Editor, arguments: Arguments) -> dict[str, Any] | None:
    found = _found(editor, arguments)
    if found is None:
        return None
    session, offer, choice = found
    await editor.test(session, offer, choice)
    settings = session.folder.p2value
    return told(choice, offer.ranked(settings).index(choice), settings)


async def pause(editor: Editor, arguments: Arguments) -> None:
    editor.pause(True)


async def resume(editor: Editor, arguments: Arguments) -> None:
    editor.pause(False)


async def trust(editor: Editor, arguments: Arguments) -> None:
    given = _first(arguments)
    folder = str(given.get("folder", ""))
    path = to_fs_path(folder) if folder.startswith("file:") else folder
    if path:
        editor.trust(Path(path), trusted=given.get("trusted") is True)


async def status(editor: Editor, arguments: Arguments) -> dict[str, Any]:
    return editor.status()


async def reload(editor: Editor, arguments: Arguments) -> str:
    """The Champion is looked up at every request: this says which it is now."""
    editor.tell_status()
    return str(editor.status().get("adapter", ""))


COMMANDS: Mapping[str, Callable[[Editor, Arguments], Awaitable[Any]]] = {
    "p2assist.accepted": accepted,
    "p2assist.partiallyAccepted": partially_accepted,
    "p2assist.shown": shown,
    "p2assist.rejected": rejected,
    "p2assist.why": why,
    "p2assist.test": test,
    "p2assist.never": never,
    "p2assist.pause": pause,
    "p2assist.resume": resume,
    "p2assist.trust": trust,
    "p2assist.status": status,
    "p2assist.reload": reload,
}


def _say(editor: Editor, arguments: Arguments, kind: FeedbackKind) -> None:
    found = _found(editor, arguments)
    if found:
        session, offer, choice = found
        session.say(offer, choice, kind)


def _found(editor: Editor, arguments: Arguments) -> Found | None:
    """What the arguments name: by id, or the last offer of a document, near the position."""
    given = _first(arguments)
    if "id" in given:
        return editor.find(str(given["id"]))
    session = editor.sessions.get(str(given.get("uri", "")))
    if session is None:
        return None
    position = given.get("position")
    line = position.get("line") if isinstance(position, Mapping) else None
    if isinstance(line, int) and line + 1 in session.lines:
        offer, choice = session.lines[line + 1]
        return session, offer, choice
    if session.offer is None or not session.offer.choices:
        return None
    return session, session.offer, session.offer.ranked(session.folder.p2value)[0]


def _first(arguments: Arguments) -> Mapping[str, Any]:
    first = arguments[0] if arguments else {}
    return first if isinstance(first, Mapping) else {}
