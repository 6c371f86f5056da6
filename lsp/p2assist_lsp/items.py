"""Choices as the items of the protocol."""

from __future__ import annotations

from lsprotocol import types

from p2assist_lsp import words
from p2assist_lsp.offers import Choice
from p2assist_lsp.session import Asked
from p2assist_lsp.text import Document


def _range(document: Document, start: int, end: int) -> types.Range:
    first, last = document.position(start), document.position(end)
    return types.Range(types.Position(*first), types.Position(*last))


def inline(
    document: Document, asked: Asked, choice: Choice, uri: str
) -> types.InlineCompletionItem:
    start = asked.start if asked.head else asked.offset
    return types.InlineCompletionItem(
        insert_text=asked.head + choice.text,
        range=_range(document, start, asked.offset),
        command=types.Command(
            "p2assist", "p2assist.accepted", arguments=[{"id": choice.id, "uri": uri}]
        ),
    )


def plain_item(document: Document, asked: Asked, choice: Choice, rank: int) -> types.CompletionItem:
    """A plain item takes the place of the word before the cursor, by which clients filter."""
    source = document.source
    start = asked.offset
    while start and (source[start - 1].isalnum() or source[start - 1] == "_"):
        start -= 1
    text = source[start : asked.offset] + choice.text
    return types.CompletionItem(
        label=text.partition("\n")[0],
        kind=types.CompletionItemKind.Snippet,
        detail=choice.evidence,
        documentation=markdown(words.evidence(choice)),
        sort_text=f"{rank:03}",
        filter_text=text,
        text_edit=types.TextEdit(_range(document, start, asked.offset), text),
        data={"id": choice.id},
    )


def markdown(text: str) -> types.MarkupContent:
    return types.MarkupContent(types.MarkupKind.Markdown, text)
