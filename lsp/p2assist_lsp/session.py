"""One document: one request in flight, one offer on the screen, one watch on what becomes of it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from p2assist.errors import CancelledError, P2AssistError
from p2assist.experience import Candidate, Experience, Feedback, FeedbackKind, Task
from p2assist.generation.request import Control
from p2assist.generation.request import Document as Opened
from p2assist.p2value import possibility
from p2assist_lsp import places, quiet
from p2assist_lsp.debounce import Pace
from p2assist_lsp.feedback import Phase, Verdict, Watch
from p2assist_lsp.folder import Folder
from p2assist_lsp.offers import Choice, Offer, State
from p2assist_lsp.quiet import Expectation, Unwanted
from p2assist_lsp.settings import Settings
from p2assist_lsp.survival import Landed
from p2assist_lsp.text import Document, Edit
from p2assist_lsp.unsaved import unsaved

AUTOMATIC_SECONDS, INVOKED_SECONDS = 2.0, 10.0  # until an answer is of no use
IGNORED_SECONDS = 60.0
_LOOK = 0.02
_WATCHED = 8  # rejections that wait for what was written instead
_TAKEN = (FeedbackKind.ACCEPTED, FeedbackKind.PARTIALLY_ACCEPTED, FeedbackKind.TYPED_THROUGH)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for completions. offset: of the cursor, in the document's source. invoked: by a
    person, not by a key. every: all candidates, not the best alone. head: what a selected entry of
    a completion list would put from `start` to the cursor, '' for none."""

    offset: int
    invoked: bool = False
    every: bool = False
    head: str = ""
    start: int = 0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a thread is to generate. documents: open beside it, for the prompt and for the tests."""

    task: Task
    invoked: bool
    settings: Settings
    documents: Sequence[Opened]
    stop: threading.Event


@dataclass(frozen=True, slots=True)
class Shared:
    """What the sessions of an editor have in common. documents: that are open beside one, newest
    first. landed: told of a text that was taken."""

    settings: Callable[[], Settings]
    pool: Executor
    unwanted: Unwanted
    expectation: Expectation
    documents: Callable[[Session], Sequence[Opened]]
    offered: Callable[[Session, Offer], None]
    landed: Callable[[Folder, Landed], None]


@dataclass(slots=True)
class _Watched:
    """latest: an offer of the rest alone, made while what was shown was typed through."""

    watch: Watch
    offer: Offer
    latest: Offer | None = None
    since: float = field(default_factory=time.monotonic)


class Session:
    """Its methods are for the event loop's thread. prefix: what comes before the document in a
    notebook: the code of the cells above."""

    def __init__(self, document: Document, folder: Folder, path: str, shared: Shared) -> None:
        self.document, self.folder, self.path = document, folder, path
        self.prefix: Callable[[], str] = str
        self.offer: Offer | None = None
        self.lines: dict[int, tuple[Offer, Choice]] = {}  # of offers, for the hover
        self._shared = shared
        self._pace = Pace()
        self._stop: threading.Event | None = None
        self._watched: list[_Watched] = []  # the newest last
        self._landed: list[Landed] = []
        self.touched = 0.0
        self.line: int | None = None  # where it was edited last, 1-based

    # Edits

    def edited(self, edits: Sequence[tuple[Edit, str]]) -> None:
        """Each edit of the document, with its text from before."""
        self.touched = time.monotonic()
        self._pace.key(self.touched)
        if edits:
            self.line = self.document.source.count("\n", 0, edits[-1][0].start) + 1
        for edit, before in edits:
            for landed in self._landed:
                landed.edit(edit)
            for watched in tuple(self._watched):
                self._take(watched, watched.watch.edit(edit, before))
        for watched in self._watched:
            if watched.watch.phase is Phase.SETTLING:
                self._unwanted(watched.offer, watched.watch.first)

    def left(self, offset: int | None = None) -> None:
        """The user is at the offset now, or, without one, nowhere in the document."""
        source = self.document.source
        for watched in tuple(self._watched):
            watch = watched.watch
            here = offset is not None and offset >= watch.at
            near = here and "\n" not in source[watch.at : offset]
            if not near or time.monotonic() - watched.since > IGNORED_SECONDS:
                self._take(watched, watch.settle(source) or watch.leave())

    def close(self) -> None:
        self.left()
        self.cancel()
        if self.folder.verifier:
            self.folder.verifier.forget(self.document.uri)

    # Completions

    def cancel(self) -> None:
        """Ends the request in flight, which answers with nothing."""
        if self._stop is not None:
            self._stop.set()

    async def complete(self, asked: Asked) -> list[tuple[Offer, Choice]]:
        """What to show, best first; nothing where there is nothing good, or a newer request came.

        Being cancelled ends the decoding within one step.
        """
        self.cancel()
        stop = self._stop = threading.Event()
        self.left(asked.offset)
        settings, completer = self._shared.settings(), self.folder.completer
        source = self.document.source
        if completer is None or quiet.reason(source, asked.offset, settings, invoked=asked.invoked):
            return []
        try:
            if not asked.invoked and not self._continues(asked):
                await asyncio.sleep(self._pace.seconds(settings.debounce))
            if stop.is_set():
                return []
            task = self._task(asked)
            run = asyncio.get_running_loop().run_in_executor
            documents = self._shared.documents(self)
            wanted = _Wanted(task, asked.invoked, settings, documents, stop)
            offer = await run(self._shared.pool, self._generate, wanted)
            if offer is None or stop.is_set():
                return []
            return await self._present(offer, asked, settings, stop)
        except asyncio.CancelledError:
            stop.set()
            raise

    def _task(self, asked: Asked) -> Task:
        source, offset = self.document.source, asked.offset
        if asked.head:
            source = source[: asked.start] + asked.head + source[offset:]
            offset = asked.start + len(asked.head)
        before = self.prefix()
        long = asked.invoked
        return places.task_at(self.path, before + source, len(before) + offset, long=long)

    def _generate(self, wanted: _Wanted) -> Offer | None:
        """In a thread: the candidates, with what is known of them."""
        services, completer = self.folder.services, self.folder.completer
        verifier = self.folder.verifier
        if services is None or completer is None:
            return None
        started, task = time.monotonic(), wanted.task
        seconds = INVOKED_SECONDS if wanted.invoked else AUTOMATIC_SECONDS
        control = Control(deadline=started + seconds, cancelled=wanted.stop)
        try:
            beams = wanted.settings.beams
            found = completer.known(task, beams=beams)
            if not found:
                context = services.context(task, wanted.documents)
                found = completer.generate(task, beams=beams, context=context, control=control)
            if verifier and found:
                task = replace(task, tests=services.covering(task))
        except CancelledError:
            return None
        except P2AssistError as error:
            _log.warning("no completion: %s", error)
            return None
        self._pace.answered(time.monotonic() - started)
        offer = Offer.of(self.document.uri, self.document.version, task, self._wanted(task, found))
        offer.unsaved = unsaved(self.folder.root, wanted.documents)
        if verifier:
            verifier.recall(offer)
        else:
            offer.untested(self.folder.untested, early=self.folder.trusted)
        return offer

    def _wanted(self, task: Task, found: Sequence[Candidate]) -> list[Candidate]:
        unwanted = self._shared.unwanted.at(task)
        return [c for c in found if c.text.strip() and not unwanted(c.text)]

    async def _present(
        self, offer: Offer, asked: Asked, settings: Settings, stop: threading.Event
    ) -> list[tuple[Offer, Choice]]:
        value = self.folder.p2value
        if offer.early and self.folder.verifier:  # the tests were found meanwhile
            run = asyncio.get_running_loop().run_in_executor
            await run(self._shared.pool, self.folder.cover, offer)
        verifier = self.folder.verifier
        choices = offer.ranked(value)
        if choices and verifier:
            verifier.verify(offer, choices, hurry=asked.invoked or asked.every)
            if settings.show == "with evidence":
                await self._evidence(offer, settings.patience / 1000, stop)
                choices = offer.ranked(value)
        if settings.hide_failing:
            choices = [choice for choice in choices if not choice.fails]
        if not (asked.invoked or asked.every):
            choices = [choice for choice in choices[:1] if not self._unlikely(choice)]
        if stop.is_set() or not choices:
            return []
        self._show(offer, choices, asked)
        return [(offer, choice) for choice in choices]

    async def tests_found(self) -> None:
        """What was offered before the tests were found is tested after all."""
        offer = self.offer
        if offer is None or not offer.early:
            return
        run = asyncio.get_running_loop().run_in_executor
        found = await run(self._shared.pool, self.folder.cover, offer)
        verifier = self.folder.verifier
        if found and verifier and offer is self.offer:
            self._shared.offered(self, offer)
            verifier.verify(offer, offer.ranked(self.folder.p2value))

    async def _evidence(self, offer: Offer, seconds: float, stop: threading.Event) -> None:
        """Until the best is tested, or patience ends."""
        until = time.monotonic() + seconds
        waiting = (State.WAITING, State.TESTING)
        while time.monotonic() < until and not stop.is_set():
            if offer.ranked(self.folder.p2value)[0].state not in waiting:
                return
            await asyncio.sleep(_LOOK)

    def _unlikely(self, choice: Choice) -> bool:
        given = possibility(choice.candidate.logprob, choice.candidate.num_tokens)
        return self._shared.expectation.low(float(given))

    def _show(self, offer: Offer, choices: Sequence[Choice], asked: Asked) -> None:
        for choice in choices:
            choice.shown = True
        self.offer = offer
        self.lines[offer.task.line] = (offer, choices[0])
        self._shared.offered(self, offer)
        at = asked.offset
        old = self._live()
        if old is not None:
            if old.cursor == at and old.typed and [c.text for c in choices] == [old.rest]:
                # The same text, further on: who types it through is still being watched.
                self._watched[-1].latest = offer
                return
            self._take(self._watched[-1], old.supersede())
        texts = [(choice.id, asked.head[at - asked.start :] + choice.text) for choice in choices]
        following = [one for one in self._watched if one.watch.phase is not Phase.OVER]
        self._watched = [*following[-_WATCHED:], _Watched(Watch(texts, at), offer)]

    def _live(self) -> Watch | None:
        """The watch on what is on the screen."""
        last = self._watched[-1].watch if self._watched else None
        return last if last is not None and last.phase is Phase.LIVE else None

    def _continues(self, asked: Asked) -> bool:
        """Whether what is shown goes on here: the answer costs nothing, so nobody waits for it."""
        watch = self._live()
        return watch is not None and watch.cursor == asked.offset and bool(watch.rest)

    # What became of it

    def say(self, offer: Offer, choice: Choice, kind: FeedbackKind) -> None:
        """The client knows what became of a choice."""
        if kind is FeedbackKind.REJECTED:
            self._shared.unwanted.add(offer.task, choice.text)
        found = self._watching(offer)
        if found is None:
            return
        known = found.watch.named(choice.text) if found.offer is not offer else choice.id
        if known is None:  # of the list of candidates, never shown
            found.offer = offer
        self._take(found, found.watch.say(known or choice.id, kind))

    def part(self, offer: Offer) -> None:
        """The client knows that a part of what is shown was accepted."""
        found = self._watching(offer)
        if found is not None:
            found.watch.piece()

    def _watching(self, offer: Offer) -> _Watched | None:
        watched = (one for one in self._watched if offer is one.offer or offer is one.latest)
        return next(watched, None)

    def never(self, offer: Offer, choice: Choice) -> None:
        self._shared.unwanted.add(offer.task, choice.text)
        self.say(offer, choice, FeedbackKind.REJECTED)

    def _unwanted(self, offer: Offer, choice_id: str) -> None:
        choice = offer.find(choice_id)
        if choice is not None:
            self._shared.unwanted.add(offer.task, choice.text)

    def _take(self, watched: _Watched, verdict: Verdict | None) -> None:
        choice = watched.offer.find(verdict.id) if verdict else None
        if verdict is None or choice is None:
            return
        offer = watched.offer
        self._watched = [one for one in self._watched if one is not watched]
        if verdict.kind is FeedbackKind.REJECTED:
            self._shared.unwanted.add(offer.task, choice.text)
        given = possibility(choice.candidate.logprob, choice.candidate.num_tokens)
        taken = verdict.kind in _TAKEN
        if verdict.kind is not FeedbackKind.IGNORED:
            self._shared.expectation.learn(float(given), taken=taken)
        self._keep(offer, choice, verdict)
        if taken:
            self._land(offer, choice, watched.watch.at)

    def _keep(self, offer: Offer, chosen: Choice, verdict: Verdict) -> None:
        memory = self.folder.memory
        if memory is None:
            return
        feedback = Feedback(verdict.kind, verdict.kept)
        memory.keep(
            [
                Experience(offer.task, c.candidate, c.report, (feedback,) if c is chosen else ())
                for c in offer.choices
            ]
        )
        for choice in offer.choices:
            if choice.shown:
                data = {"place": choice.candidate.rank, "typed": verdict.typed}
                memory.event(offer.key(choice), "shown", data)

    def _land(self, offer: Offer, choice: Choice, at: int) -> None:
        line = self.document.source.count("\n", 0, at)
        key, uri = offer.key(choice), self.document.uri
        landed = Landed(key, uri, self.path, choice.text, at, line)
        self._landed.append(landed)
        self._shared.landed(self.folder, landed)
        verifier = self.folder.verifier
        if verifier and choice.state in (State.WAITING, State.TESTING):
            verifier.verify(offer, [choice], slot=f"{uri}#accepted")

    def forget(self, landed: Landed) -> None:
        """It is followed no more."""
        self._landed = [one for one in self._landed if one is not landed]
