"""Repository context of a cursor: what a person would look up before writing on.

Told from texts alone and by file content, so that it is fast enough for every keystroke: the
cursor's own line is left out of what is parsed, and the rest stays the same while it is typed.
The span that a task asks for is never in it: of the task's own file only what is left and right
of the span is looked at, and other sources do not give that file.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from p2assist.experience import Task
from p2assist.generation.request import Context, Document, Snippet, SnippetKind
from p2assist.generation.resolve import Repository
from p2assist.generation.retrieval import Retrieval
from p2assist.generation.similarity import excerpt
from p2assist.generation.syntax import Module, module

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_IMPORT = re.compile(r"^[ \t]*(?:from\s+\S+\s+)?import\s+(?:\([^)]*\)|[^\n]*)", re.MULTILINE)
_NEAR_ABOVE, _NEAR_BELOW = 30, 5  # lines around the cursor whose names are looked up
_MOST_DEFINITIONS = 8
_MOST_NAMES = 60
_LIKE_ABOVE, _LIKE_BELOW = 12, 3  # lines around the cursor that others have to be like
_SEEN_ABOVE, _SEEN_BELOW = 60, 15  # lines around the cursor that a prompt shows anyway
_MOST_SIMILAR, _SETTLED = 8, 4  # parts that are like the cursor's lines; that keep their places
_AROUND = 12  # lines on both sides of an edit
_MOST_DOCUMENTS = 32  # whose context is remembered


class ContextSource:
    """Context of the cursors of one repository. Not for several threads at once."""

    def __init__(self, root: Path) -> None:
        self._repository = Repository(root)
        self._retrieval = Retrieval(self._repository)
        self._last: OrderedDict[str, tuple[Snippet, ...]] = OrderedDict()
        self._shown: OrderedDict[str, tuple[Snippet, ...]] = OrderedDict()

    def of(
        self, task: Task, *, recent: Sequence[Document] = (), opened: Sequence[Document] = ()
    ) -> Context:
        """The most useful first. Only task.path, task.prefix and task.suffix are looked at.

        recent, opened: newest first; files that are not Python, or not below the root, are left
        out. Their texts stand for those on the disk, for definitions too.
        """
        documents = [d for d in (*recent, *opened) if d.path.endswith(".py")]
        overlay = {d.path: d.text for d in reversed(documents) if d.text is not None}
        overlay.pop(task.path, None)
        here = module(_without_line(task))
        edited = [d for d in documents if d.line is not None]
        others = [d for d in documents if d.line is None]
        return (
            *self._definitions(task, here, overlay),
            Snippet(SnippetKind.SIGNATURES, task.path, here.outline()),
            *self._excerpts(SnippetKind.RECENT, task, edited, overlay),
            *self._excerpts(SnippetKind.OPEN, task, others, overlay),
            *self._similar(task, overlay),
        )

    def _similar(self, task: Task, overlay: Mapping[str, str]) -> Iterable[Snippet]:
        above, below = task.prefix.split("\n"), task.suffix.split("\n")
        near = "\n".join([*above[-_LIKE_ABOVE:], *below[1 : 1 + _LIKE_BELOW]])
        own = ("\n".join(above[:-_SEEN_ABOVE]), "\n".join(below[1 + _SEEN_BELOW :]))
        found = self._retrieval.like(
            near, task.path, (text for text in own if text), most=_MOST_SIMILAR, overlay=overlay
        )
        fresh = [Snippet(SnippetKind.SIMILAR, match.path, match.text) for match in found]
        return self._settled(self._shown, task.path, fresh, keep=_SETTLED)

    @staticmethod
    def _settled(
        memory: OrderedDict[str, tuple[Snippet, ...]],
        path: str,
        fresh: Sequence[Snippet],
        *,
        keep: int,
    ) -> tuple[Snippet, ...]:
        """The fresh ones, those first that came first the last time: the prompt's keys and values
        behind them are kept then."""
        before = [snippet for snippet in memory.get(path, ()) if snippet in fresh]
        kept = (*before, *(snippet for snippet in fresh if snippet not in before))
        memory[path] = kept[:keep]
        memory.move_to_end(path)
        while len(memory) > _MOST_DOCUMENTS:
            memory.popitem(last=False)
        return kept

    def _definitions(
        self, task: Task, here: Module, overlay: Mapping[str, str]
    ) -> tuple[Snippet, ...]:
        """Of the names near the cursor. What was there before stays in its place: the prompt's
        keys and values behind it are kept then."""
        wanted: dict[Snippet, None] = {}
        for name in _names(task):
            found = self._repository.find(name, task.path, here, overlay)
            if found and found.path != task.path:
                shown = found.definition.shown()
                wanted[Snippet(SnippetKind.DEFINITION, found.path, shown)] = None
        fresh = list(wanted)[:_MOST_DEFINITIONS]
        still = [snippet for snippet in self._last.get(task.path, ()) if snippet in wanted]
        if len({*still, *fresh}) <= _MOST_DEFINITIONS:
            fresh = [*still, *(snippet for snippet in fresh if snippet not in still)]
        return self._settled(self._last, task.path, fresh, keep=_MOST_DEFINITIONS)

    def _excerpts(
        self,
        kind: SnippetKind,
        task: Task,
        documents: Iterable[Document],
        overlay: Mapping[str, str],
    ) -> Iterable[Snippet]:
        near = _near(task)
        for document in {d.path: d for d in documents if d.path != task.path}.values():
            text = self._repository.text(document.path, overlay)
            if not text:
                continue
            if document.line is None:
                part = excerpt(text, near)
            else:
                lines = text.split("\n")
                first = max(0, document.line - 1 - _AROUND)
                part = "\n".join(lines[first : document.line + _AROUND])
            if part.strip():
                yield Snippet(kind, document.path, part)


def _without_line(task: Task) -> str:
    """The file without the lines that the span is on."""
    above = task.prefix[: task.prefix.rfind("\n") + 1]
    return above + task.suffix.partition("\n")[2]


def _near(task: Task) -> str:
    """The lines around the cursor without its own."""
    above = task.prefix.rsplit("\n", _NEAR_ABOVE + 1)[1:-1]
    below = task.suffix.split("\n", _NEAR_BELOW + 1)[1:-1]
    return "\n".join([*above, *below])


def _names(task: Task) -> list[str]:
    """Names used near the cursor, the nearest first; not the one that is being typed."""
    own = task.prefix[task.prefix.rfind("\n") + 1 :]
    typed = [found for found in _NAME.finditer(own) if found.end() < len(own)]
    nearest = [found.group() for found in reversed(typed)]
    for line in reversed(_IMPORT.sub("", _near(task)).split("\n")):
        nearest += _NAME.findall(line)
    return list(dict.fromkeys(nearest))[:_MOST_NAMES]
