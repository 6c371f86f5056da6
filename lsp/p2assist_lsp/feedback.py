"""What the user did with what was shown: told from the edits alone.

The protocol has no event for it, and edits come from every client. A watch follows the shown texts
from the cursor where they stood: what is inserted there in one piece and is a text, or a beginning
of one, was accepted; what comes letter by letter was typed; what differs is a rejection, and what
stands there when the user has gone on is what was wanted instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from p2assist.experience import FeedbackKind
from p2assist_lsp.text import Edit

_CLOSERS = frozenset(")]}\"'")


class Phase(Enum):
    LIVE = auto()  # what is typed so far is a beginning of a shown text
    SETTLING = auto()  # it differs, and the user is still writing
    OVER = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """kind: of the choice of this id. kept: what stands there instead, of a rejected one. typed:
    characters that were typed, not accepted."""

    id: str
    kind: FeedbackKind
    kept: str = ""
    typed: int = 0


class Watch:
    """Follows shown texts, best first, from the offset where they stood.

    source: the document's text then. Feed every edit of the document to `edit`; a verdict comes
    once, from there or from one of the others.
    """

    def __init__(self, texts: Sequence[tuple[str, str]], at: int) -> None:
        self._live = dict(texts)  # id -> text
        self.first = next(iter(self._live))
        self.at = at
        self.typed = 0
        self.phase = Phase.LIVE
        self._by_hand = self._pieces = 0
        self._last = self.first

    @property
    def cursor(self) -> int:
        """Where the rest of the texts would go on."""
        return self.at + self.typed

    @property
    def rest(self) -> str:
        """What is left of the best text that is still possible."""
        return next(iter(self._live.values()))[self.typed :] if self._live else ""

    def edit(self, edit: Edit, before: str) -> Verdict | None:
        """An edit of the document whose text was `before`."""
        if self.phase is Phase.OVER:
            return None
        change = edit.least
        if change.end <= self.at and not (change.start == self.at and self.typed == 0):
            same_line = "\n" not in before[change.end : self.at]
            self.at += len(change.inserted) - len(change.removed)
            if same_line:
                self._differs()
            return None  # another line, above: a tool has sorted imports, say
        if self.phase is Phase.SETTLING:
            far = change.start > _line_end(before, self.at)
            return self.settle(before) if far else None
        if change.start > self.cursor:
            return None
        if change.start == self.cursor and not change.removed:
            return self._inserted(change.inserted)
        if self.at <= change.start and change.end == self.cursor and not change.inserted:
            self.typed = change.start - self.at  # a typing error taken back
            return None
        self._differs()
        return None

    def settle(self, source: str) -> Verdict | None:
        """The user has gone on: what stands there now is what was kept instead."""
        if self.phase is not Phase.SETTLING:
            return None
        end = _line_end(source, self.at)
        kind = FeedbackKind.PARTIALLY_ACCEPTED if self._pieces else FeedbackKind.REJECTED
        return self._over(self._last, kind, source[self.at : end])

    def leave(self) -> Verdict | None:
        """The user is elsewhere, or a long time has passed."""
        if self.phase is not Phase.LIVE:
            return None
        typed = next((k for k, v in self._live.items() if len(v) == self.typed), None)
        if typed is not None:  # the beginning of a longer one, too, until now
            return self._over(typed, FeedbackKind.TYPED_THROUGH)
        if self._pieces:
            return self._over(self._last, FeedbackKind.PARTIALLY_ACCEPTED)
        return self._over(self.first, FeedbackKind.IGNORED)

    def supersede(self) -> Verdict | None:
        """Another offer takes its place: no word on this one, but a part that was taken."""
        if self.phase is Phase.LIVE and self._pieces:
            return self._over(self._last, FeedbackKind.PARTIALLY_ACCEPTED)
        self.phase = Phase.OVER
        return None

    def named(self, rest: str) -> str | None:
        """The id of the best shown text that is still possible and ends so."""
        return next((k for k, text in self._live.items() if text.endswith(rest)), None)

    def piece(self) -> None:
        """The client knows that what came last was accepted, though it may be one letter."""
        self._pieces += self.typed > 0

    def say(self, choice: str, kind: FeedbackKind) -> Verdict | None:
        """The client knows it for certain. What was accepted in part stays so."""
        if self.phase is Phase.OVER:
            return None
        if kind is FeedbackKind.REJECTED and self._pieces:
            kind = FeedbackKind.PARTIALLY_ACCEPTED
        return self._over(choice, kind)

    def _inserted(self, text: str) -> Verdict | None:
        typed = self.typed
        live = {k: v for k, v in self._live.items() if v.startswith(text, typed)}
        if not live and len(text) == 2 and text[1] in _CLOSERS:
            text = text[0]  # the editor closed a bracket by itself
            live = {k: v for k, v in self._live.items() if v.startswith(text, typed)}
        if not live:
            self._differs()
            return None
        self._live = live
        self.typed += len(text)
        self._last = next(iter(live))
        if len(text) > 1:
            self._pieces += 1
        else:
            self._by_hand += 1
        whole = next((k for k, v in live.items() if len(v) == self.typed), None)
        if whole is None or (len(live) > 1 and len(text) == 1):
            return None
        if not self._pieces:
            return self._over(whole, FeedbackKind.TYPED_THROUGH)
        return self._over(whole, FeedbackKind.ACCEPTED)

    def _differs(self) -> None:
        if self.phase is Phase.LIVE:
            self.phase = Phase.SETTLING

    def _over(self, choice: str, kind: FeedbackKind, kept: str = "") -> Verdict:
        self.phase = Phase.OVER
        return Verdict(choice, kind, kept, self._by_hand)


def _line_end(source: str, offset: int) -> int:
    end = source.find("\n", offset)
    return len(source) if end < 0 else end
