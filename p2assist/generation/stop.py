"""Where a completion ends, by the kind of span: told from the generated text alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from p2assist.experience import SpanKind, Task

_TOKEN = re.compile(
    r"""
    (?P<string>(?P<triple>\"\"\"|''')(?:\\(?:.|\Z)|(?!(?P=triple))[^\\])*(?:(?P=triple)|(?P<cut>\Z))
    | (?P<quote>["'])(?:\\(?:.|\Z)|(?!(?P=quote))[^\\\n])*(?:(?P=quote)|(?=\n)|\Z))
    | \#[^\n]*
    | \\\r?\n
    | (?P<bracket>[()\[\]{}])
    | (?P<newline>\n)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSES = {")": "(", "]": "[", "}": "{"}
_HEADER = re.compile(
    r"(?:if|elif|else|for|while|with|try|except|finally|def|class|async|match|case)\b"
    r".*:\s*(?:\#.*)?\Z",
    re.DOTALL,
)
_CLAUSE = re.compile(r"(?:else|elif|except|finally|case)\b")
_CODE = re.compile(r"\S")
_WORD_OVER = re.compile(r"\w*\W|\W")  # the line's first word has been written to its end
_TAB = 8


def opening(text: str) -> str:
    """The brackets, and the triple quote, that are open at the end of text."""
    stack = [""]
    for token in _TOKEN.finditer(text):
        if token["cut"] is not None:
            return "".join(stack) + token["triple"]
        bracket = token["bracket"]
        if bracket in _CLOSES:
            if stack[-1] == _CLOSES[bracket]:
                stack.pop()
        elif bracket:
            stack.append(bracket)
    return "".join(stack)


@dataclass(frozen=True, slots=True)
class StopRule:
    """The stop rule of one task.

    head: what stands on the cursor's line, without its indentation. indent: columns of that
    indentation. opened: what is open at the cursor (see `opening`).

    Does not promise valid Python: a beam may write anything, and only its lines are looked at.
    """

    kind: SpanKind
    head: str = ""
    indent: int = 0
    opened: str = ""

    @classmethod
    def from_task(cls, task: Task) -> StopRule:
        """Looks at task.prefix and task.kind only."""
        prefix = task.prefix
        line = prefix[prefix.rfind("\n") + 1 :]
        head = line.lstrip()
        indent = _width(line[: len(line) - len(head)])
        opened = "" if task.kind is SpanKind.LINE else opening(prefix)
        return cls(task.kind, head, indent, opened)

    @property
    def minimum(self) -> int:
        """Columns that a further line of the same block has at least."""
        return self.indent + 1 if self.head else self.indent

    @property
    def may_be_empty(self) -> bool:
        """Whether no text at all can be an answer: only behind code on a line to be completed."""
        return self.kind is SpanKind.LINE and bool(self.head)

    def end(self, text: str) -> int | None:
        """The length of text that is kept, where text goes past its end; None where it may go on.

        text: all that was generated so far.
        """
        if self.kind is SpanKind.LINE:
            found = re.search(r"[\r\n]", text)
            return found.start() if found else None
        if "\n" not in text:
            return None
        if self.kind is SpanKind.STATEMENT:
            return self._statement(text)
        return self._dedent(text, self.minimum)

    def whole(self, text: str) -> str:
        """What is worth keeping of text that was cut short: its whole logical lines."""
        if self.kind is SpanKind.LINE:
            return text
        ends = list(self._line_ends(text))
        return text[: ends[-1]] if ends else ""

    def _statement(self, text: str) -> int | None:
        at = 0
        for end in self._line_ends(text):
            line = text[at:end].strip() if at else (self.head + text[:end]).strip()
            if line.startswith("@"):  # a decorator: its function follows
                at = end + 1
            elif line:
                compound = _HEADER.match(line)
                return self._dedent(text, self.indent + 1, clauses=True) if compound else end
        return None

    def _dedent(self, text: str, minimum: int, *, clauses: bool = False) -> int | None:
        """Where the line before the first one with less than minimum columns ends.

        clauses: `else:` and its like at the statement's own column belong to it.
        """
        started = bool(self.head)
        for end in self._line_ends(text):
            started = started or _CODE.search(text, 0, end) is not None
            code = _CODE.search(text, end + 1)
            if code is None:
                return None
            line = text.rfind("\n", 0, code.start()) + 1
            if not started or _width(text[line : code.start()]) >= minimum:
                continue
            if not clauses or _width(text[line : code.start()]) < self.indent:
                return end
            if not _WORD_OVER.match(text, code.start()):
                return None
            if not _CLAUSE.match(text, code.start()) and not self._decorated(text[:end]):
                return end
        return None

    def _decorated(self, text: str) -> bool:
        last = (self.head + text).rstrip().rpartition("\n")[2]
        return last.lstrip().startswith("@")

    def _line_ends(self, text: str) -> Iterator[int]:
        """Offsets of the newlines of text that end a logical line."""
        depth = 0
        shift = len(self.opened)
        for token in _TOKEN.finditer(self.opened + text):
            bracket = token["bracket"]
            if bracket:
                depth = depth - 1 if bracket in _CLOSES else depth + 1
                depth = max(depth, 0)
            elif token["newline"] and depth == 0:
                yield token.start() - shift


def _width(blanks: str) -> int:
    """Columns of an indentation; a tab goes to the next multiple of eight, as in Python."""
    return len(blanks.expandtabs(_TAB))
