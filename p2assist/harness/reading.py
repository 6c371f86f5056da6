"""What is known of a candidate from its text alone: whether it parses, what it means, and whether
it may run."""

from __future__ import annotations

import ast
import functools
import hashlib
from dataclasses import dataclass

from p2assist.harness import refusal, sources, statement
from p2assist.harness.statement import Isolated, Spans


@dataclass(frozen=True, slots=True)
class Reading:
    """meaning: equal for texts of one source that do the same. refusal: why it may not run, ''
    where it may."""

    meaning: str
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """What is read of a source once for all its candidates."""

    digest: str
    spans: Spans
    suspects: frozenset[str]


def read(before: str, content: bytes, *, typed: str = "") -> Reading:
    """before: the text of the file without the candidate; content: the file with it. typed: what
    stands in the editor, where that is another text: what it uses is not the candidate's doing.
    Raises SyntaxError."""
    known = _source(before)
    text = _plain(content)
    isolated = None if text is None else statement.isolate(before, text, known.spans)
    try:
        parsed, place = _parsed(isolated, content if text is None else text)
    except (RecursionError, MemoryError):
        return unread(content)
    new = refusal.suspects(parsed) - known.suspects
    if new and typed not in ("", before):
        new -= _source(typed).suspects
    return Reading(
        f"{known.digest}\0{place}\0{ast.dump(parsed)}",
        f"it newly uses {', '.join(sorted(new))}" if new else "",
    )


def spans(text: str) -> Spans:
    """Those of the text's statements; none where it does not parse."""
    return _source(text).spans


def unread(content: bytes) -> Reading:
    """What is known of a file that this Python cannot parse."""
    return Reading(hashlib.sha256(content).hexdigest())


def _plain(content: bytes) -> str | None:
    """The text; None where it may be in another encoding than UTF-8."""
    if b"coding" in b"".join(content.split(b"\n", 2)[:2]):
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _parsed(isolated: Isolated | None, text: str | bytes) -> tuple[ast.Module, int]:
    """The statement that differs with its line; else the file, with 0."""
    if isolated is not None:
        try:
            return sources.parse(isolated.new), isolated.first
        except SyntaxError:
            pass  # what follows may be a part of it, and the error has to be the file's own
    return sources.parse(text), 0


@functools.lru_cache(maxsize=256)
def _source(text: str) -> _Source:
    """Nothing is excused, and nothing isolated, by a source that does not parse."""
    said = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    try:
        module = sources.parse(text)
    except (SyntaxError, RecursionError, MemoryError):
        return _Source(said, [], frozenset())
    return _Source(said, statement.spans(module), refusal.suspects(module))
