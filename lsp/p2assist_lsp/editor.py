"""The editor's side as a whole: documents, folders, settings, and what is told to the client.

It knows no pygls: `client` sends, everything else is called by server.py, in the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pygls.uris import to_fs_path

from p2assist.experience import Experience
from p2assist.generation.request import Document as Opened
from p2assist_lsp.folder import Bearings, Folder
from p2assist_lsp.offers import Choice, Offer
from p2assist_lsp.quiet import Expectation, Unwanted
from p2assist_lsp.services import Open
from p2assist_lsp.session import Asked, Session, Shared
from p2assist_lsp.settings import Read, Settings
from p2assist_lsp.survival import AFTER, Landed
from p2assist_lsp.text import Document, Edit

_CONTEXT = 8  # other documents that a prompt may draw on
_OFFERS = 200  # that commands may name
_COMMIT_SECONDS = 10.0  # between two looks at whether something was committed
_log = logging.getLogger(__name__)


class Client(Protocol):
    """The editor, as far as it is talked to. For the event loop's thread."""

    def notify(self, method: str, params: Mapping[str, Any]) -> None: ...

    def show(self, words: str) -> None: ...

    def log(self, words: str) -> None: ...

    def progress(self, token: str, words: str, share: float | None) -> None: ...


class Editor:
    """opening: opens a folder's repository. pace: by which the times of survival are multiplied."""

    def __init__(self, client: Client, opening: Open, *, pace: float = 1.0) -> None:
        self.settings = Settings()
        self.paused = False
        self.sessions: dict[str, Session] = {}
        self.folders: dict[Path, Folder] = {}
        self._client, self._opening, self._pace = client, opening, pace
        self._offers: OrderedDict[str, tuple[Session, Offer]] = OrderedDict()
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="p2assist-complete")
        self._unwanted, self._expectation = Unwanted(), Expectation()
        self._trust: dict[Path, bool] = {}
        self._roots: list[Path] = []
        self._landed: list[tuple[Folder, Landed]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._doing: set[asyncio.Task[None]] = set()
        self._kept: set[str] = set()
        self._looked = 0.0
        self._closed = False

    # Settings and folders

    def configure(self, read: Read) -> None:
        before, self.settings = self.settings, read.settings
        for problem in read.problems:
            self._client.show(problem)
        for folder in self.folders.values():
            folder.exclude(self.settings.exclude)
        again = ("trusted", "python", "feedback")
        if any(getattr(before, name) != getattr(self.settings, name) for name in again):
            for folder in self.folders.values():
                self._start(folder)

    def open_folders(self, added: Iterable[Path], removed: Iterable[Path] = ()) -> None:
        for root in removed:
            self._roots = [one for one in self._roots if one != root]
            folder = self.folders.pop(root, None)
            if folder:
                folder.close()
        for root in added:
            if root not in self._roots:
                self._roots.append(root)
                self._folder(root)
        for session in self.sessions.values():  # the folder of a document may be another one now
            session.folder, session.path = self._place(session.document.uri)

    def trust(self, root: Path, *, trusted: bool) -> None:
        self._trust[root] = trusted
        if root in self.folders:
            self._start(self.folders[root])

    def status(self) -> dict[str, Any]:
        """The parameters of `p2assist/status`: of the folder that was used last."""
        folder = next(reversed(self.folders.values()), None)
        none = {"folder": "", "state": "starting", "words": "no folder is open"}
        return self._told(folder.status() if folder else none)

    def pause(self, paused: bool) -> None:
        self.paused = paused
        for session in self.sessions.values():
            session.cancel()
        self.tell_status()

    def tell_status(self) -> None:
        """Of every folder, the one that was used last at the end."""
        for folder in tuple(self.folders.values())[:-1]:
            self._client.notify("p2assist/status", self._told(folder.status()))
        self._client.notify("p2assist/status", self.status())

    def _told(self, found: dict[str, Any]) -> dict[str, Any]:
        off = self.paused or not self.settings.enabled
        return found | ({"state": "paused", "words": "paused"} if off else {})

    def _status(self, folder: Folder, found: dict[str, Any]) -> None:
        """A folder is further than it was."""
        self._client.notify("p2assist/status", self._told(found))
        if folder.verifier:
            for session in self.sessions.values():
                if session.folder is folder:
                    self._do(session.tests_found())

    def close(self) -> None:
        """Settles what is on the screen, and returns when all of it is in the store."""
        self._closed = True
        for session in list(self.sessions.values()):
            session.close()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for folder in self.folders.values():
            folder.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # Documents

    def opened(self, document: Document) -> Session:
        folder, path = self._place(document.uri)
        shared = Shared(
            lambda: self.settings,
            self._pool,
            self._unwanted,
            self._expectation,
            self._documents,
            self._offered,
            self._land,
        )
        session = self.sessions[document.uri] = Session(document, folder, path, shared)
        return session

    def edited(self, uri: str, edits: Sequence[tuple[Edit, str]]) -> None:
        session = self.sessions.get(uri)
        if session:
            session.edited(edits)

    def closed(self, uri: str) -> None:
        session = self.sessions.pop(uri, None)
        if session:
            session.close()

    def saved(self, uri: str) -> None:
        session = self.sessions.get(uri)
        if session:
            session.folder.saved()
        self._look_for_commits(at_least=0.0)

    async def complete(self, uri: str, asked: Asked) -> list[tuple[Offer, Choice]]:
        session = self.sessions.get(uri)
        off = self.paused or not self.settings.enabled
        if session is None or not session.path or off:
            return []
        if not asked.invoked and not self.settings.automatic:
            return []
        for other in self.sessions.values():
            if other is not session:
                other.left()
        if session.folder.root in self.folders:  # the one that was used last is the last one
            self.folders[session.folder.root] = self.folders.pop(session.folder.root)
        self._look_for_commits(at_least=_COMMIT_SECONDS)
        return await session.complete(asked)

    def _documents(self, session: Session) -> list[Opened]:
        """What else is open in its folder, the last edited first."""
        others = [s for s in self.sessions.values() if s is not session and s.path]
        others = [s for s in others if s.folder is session.folder]
        others.sort(key=lambda one: -one.touched)
        return [Opened(one.path, one.document.source, one.line) for one in others[:_CONTEXT]]

    # Offers

    def find(self, choice_id: str) -> tuple[Session, Offer, Choice] | None:
        """What has this id; None where it is not known (any more)."""
        session, offer = self._offers.get(choice_id, (None, None))
        choice = offer.find(choice_id) if offer else None
        if session is None or offer is None or choice is None:
            return None
        return session, offer, choice

    async def test(self, session: Session, offer: Offer, choice: Choice) -> bool:
        """Tests one candidate now; False where nothing can be tested here."""
        verifier = session.folder.verifier
        if verifier is None:
            return False
        await self._loop.run_in_executor(self._pool, session.folder.cover, offer)
        await self._loop.run_in_executor(self._pool, verifier.test_now, offer, choice)
        return True

    def _offered(self, session: Session, offer: Offer) -> None:
        for choice in offer.choices:
            self._offers[choice.id] = (session, offer)
        while len(self._offers) > _OFFERS:
            self._offers.popitem(last=False)
        self._client.notify("p2assist/evidence", offer.told(session.folder.p2value))

    def _evidence(self, offer: Offer) -> None:
        """An offer knows more. What is on the screen already is told, and kept where it was."""
        session = self.sessions.get(offer.uri)
        if session is None:
            return
        if offer is session.offer:
            self._client.notify("p2assist/evidence", offer.told(session.folder.p2value))
        memory = session.folder.memory
        if not memory or not self._kept:
            return
        late = [c for c in offer.choices if c.report and offer.key(c) in self._kept]
        if late:
            self._kept -= {offer.key(choice) for choice in late}
            memory.keep([Experience(offer.task, c.candidate, c.report) for c in late])

    # Survival

    def _land(self, folder: Folder, landed: Landed) -> None:
        self._landed.append((folder, landed))
        self._kept.add(landed.key)
        for seconds in AFTER:
            self._later(seconds, lambda s=seconds: self._look(folder, landed, s))  # type: ignore[misc]

    def _look(self, folder: Folder, landed: Landed, seconds: float) -> None:
        source = self._source(folder, landed)
        if folder.memory and source is not None:
            data = {"after": seconds, "share": round(landed.share(source), 3)}
            folder.memory.event(landed.key, "survived", data)
        if seconds == AFTER[-1]:
            session = self.sessions.get(landed.uri)
            if session:
                session.forget(landed)

    def _look_for_commits(self, *, at_least: float) -> None:
        now = time.monotonic()
        if self._landed and now - self._looked >= at_least:
            self._looked = now
            for folder in {id(f): f for f, _ in self._landed}.values():
                self._loop.run_in_executor(self._pool, self._commit, folder)

    def _commit(self, folder: Folder) -> None:
        """In a thread: whether there is a new commit."""
        services = folder.services
        commit = services.commit() if services else ""
        if commit and commit != folder.last_commit:
            folder.last_commit = commit
            self._loop.call_soon_threadsafe(self._committed, folder, commit)

    def _committed(self, folder: Folder, commit: str) -> None:
        for owner, landed in self._landed:
            source = self._source(folder, landed) if owner is folder else None
            if folder.memory and source is not None:
                data = {"commit": commit, "share": round(landed.share(source), 3)}
                folder.memory.event(landed.key, "committed", data)
        self._landed = [(f, one) for f, one in self._landed if f is not folder]

    def _source(self, folder: Folder, landed: Landed) -> str | None:
        session = self.sessions.get(landed.uri)
        if session:
            return session.document.source
        try:
            return (folder.root / landed.path).read_text("utf-8")
        except (OSError, ValueError):
            return None

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            call()

        if self._closed:
            return
        timer = self._loop.call_later(seconds * self._pace, run)
        self._timers.add(timer)

    # Folders

    def _place(self, uri: str) -> tuple[Folder, str]:
        """The folder of a document and its path there; '' where it is not to be completed."""
        file = _file(uri)
        inside = [root for root in self._roots if file.is_relative_to(root)]
        root = max(inside, key=lambda one: len(one.parts), default=file.parent)
        folder = self._folder(root)
        return folder, folder.path(file)

    def _folder(self, root: Path) -> Folder:
        if root not in self.folders:
            told = Bearings(
                status=lambda folder, found: self._soon(self._status, folder, found),
                evidence=lambda offer: self._soon(self._evidence, offer),
                progress=lambda folder, words, share: self._soon(
                    self._client.progress, f"p2assist {folder.root}", words, share
                ),
                trouble=lambda words: self._soon(self._client.show, f"p2assist: {words}"),
            )
            self.folders[root] = Folder(root, self._opening, told, self.settings.exclude)
            self._start(self.folders[root])
        return self.folders[root]

    def _start(self, folder: Folder) -> None:
        trusted = self._trust.get(folder.root, self.settings.trusts(folder.root.resolve()))
        folder.start(
            trusted=trusted and folder.root in self._roots,  # a lone file's folder is no project
            python=self.settings.python,
            feedback=self.settings.feedback,
        )

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        """Lets it run; the loop holds on to no task of its own."""
        task = self._loop.create_task(what)
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    def _soon(self, call: Callable[..., None], *arguments: object) -> None:
        """From any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)


def _file(uri: str) -> Path:
    """The file of a document, or of the notebook of a cell; of what is no file, a name below no
    folder."""
    if uri.startswith("vscode-notebook-cell:"):
        # Over SSH or in a container the authority names the remote, which is where we are.
        uri = "file://" + urlsplit(uri).path
    if uri.startswith("file:"):
        path = to_fs_path(uri.partition("#")[0])
        if path:
            return Path(path)
    return Path("/", uri.replace("/", "_"))
