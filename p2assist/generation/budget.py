"""Which repository context stands in a prompt: a budget of tokens, shared among its kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from p2assist.generation.request import Context, Snippet, SnippetKind
from p2assist.generation.section import Section

SHARES = {
    SnippetKind.OPEN: 0.3,
    SnippetKind.RECENT: 0.3,
    SnippetKind.SIGNATURES: 0.4,
    SnippetKind.DEFINITION: 0.5,
    SnippetKind.SIMILAR: 0.7,
}
"""Most of the context's tokens that one kind may take. The order is that of the prompt: what
changes least comes first, so that the keys and values before it stay; what says most of the
cursor comes last, next to it."""
_LEAST = 12  # tokens: less of a file says nothing

Shown = Callable[[str, str], str]  # path, text -> what stands in the prompt
Encode = Callable[[str], Sequence[int]]


def chosen(context: Context, room: int, shown: Shown, encode: Encode) -> list[Section]:
    """The snippets that fit, in the prompt's order; of one that does not, its first lines.

    room: most tokens of all together. Within a kind the earlier ones come first; what one kind
    leaves goes to the next snippets in order, whatever their kind.
    """
    limits = {kind: int(room * share) for kind, share in SHARES.items()}
    found: dict[int, Section] = {}
    left = room
    spent: Counter[SnippetKind] = Counter()
    for bounded in (True, False):
        for number, snippet in enumerate(context):
            most = min(left, limits[snippet.kind] - spent[snippet.kind]) if bounded else left
            section = None if number in found else _fitting(snippet, most, shown, encode)
            if section:
                found[number] = section
                left -= len(section.ids)
                spent[snippet.kind] += len(section.ids)
    order = list(SHARES)
    places = sorted(found, key=lambda number: (order.index(context[number].kind), number))
    return [found[number] for number in places]


def without(context: Context, window: str) -> Context:
    """The context without what the window shows itself."""
    lines = {line.strip() for line in window.splitlines()}
    kept = []
    for snippet in context:
        if snippet.kind is SnippetKind.SIGNATURES:
            text = _unseen(snippet.text.splitlines(), lines)
            snippet = Snippet(snippet.kind, snippet.path, text)
        if snippet.kind is SnippetKind.SIMILAR and _overlap(snippet.text, window):
            continue
        if snippet.text.strip():
            kept.append(snippet)
    return tuple(kept)


def _overlap(text: str, window: str) -> bool:
    """Whether the window shows the text's first or last half."""
    rows = text.strip().split("\n")
    half = -(-len(rows) // 2)
    return any("\n".join(part) in window for part in (rows[:half], rows[-half:]))


def _unseen(outline: Sequence[str], lines: Iterable[str]) -> str:
    """The lines of an outline that do not begin a line of the window."""
    heads = {_head(line) for line in lines}
    return "".join(f"{line}\n" for line in outline if _head(line) not in heads)


def _head(line: str) -> str:
    """`def name`, `class name`, or a whole line of another kind."""
    words = line.strip()
    if words.startswith(("def ", "class ", "async def ")):
        return words.partition("(")[0].partition(":")[0]
    return words


def _fitting(snippet: Snippet, most: int, shown: Shown, encode: Encode) -> Section | None:
    lines = snippet.text.splitlines()
    while lines and most >= _LEAST:
        text = shown(snippet.path, "\n".join(lines))
        ids = tuple(encode(text))
        if len(ids) <= most:
            return Section(snippet.kind, text, ids, snippet.path)
        lines = lines[: min(len(lines) - 1, len(lines) * most // len(ids))]
    return None
