"""What a user did with a candidate, as the server understands it and the store keeps it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from lsprotocol import types

from p2assist.experience import FeedbackKind
from p2assist.replay.rows import Event
from p2assist.replay.store import Store

from .conftest import ADD, ANSWERS, SCRIPT, SECONDS, Serve, texts


def test_accepted_is_told_by_the_edit_and_kept(serve: Serve, store: Store) -> None:
    async def main() -> None:
        async with serve(SCRIPT | {"pace": 0.0005}) as client:
            uri = client.open("a.py", ADD)
            items = await client.inline(uri, 1, 11)
            await client.hears(
                "p2assist/evidence", lambda e: all(c.state == "tested" for c in e.candidates)
            )
            await client.accept(items[0], uri)
            await asyncio.sleep(0.5)  # 600 s at that pace
            await client.run("p2assist.testing.flush")

    asyncio.run(main())
    kept = {e.candidate.text: e for e in store.experiences()}
    assert set(kept) == set(ANSWERS["return"])
    best = kept["a + b"]
    assert [f.kind for f in best.feedback] == [FeedbackKind.ACCEPTED]
    assert best.report is not None
    assert best.report.passes_all
    assert best.task.path == "a.py"
    assert best.task.function == "add"
    assert kept["a - b"].feedback == ()
    events = store.events(best.key)
    assert [e.data["after"] for e in events if e.kind == "survived"] == [30.0, 120.0, 600.0]
    assert {e.data["share"] for e in events if e.kind == "survived"} == {1.0}
    assert "shown" in [e.kind for e in events]


@pytest.mark.parametrize(("changed", "share"), [("a + b", 1.0), ("b * b", 0.6)])
def test_the_next_commit_says_how_much_survived(
    serve: Serve, store: Store, tmp_path: Path, changed: str, share: float
) -> None:
    root = tmp_path / "shop"
    root.mkdir()

    def commit(text: str) -> None:
        (root / "a.py").write_text(text)
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        for words in (["init", "-q"], ["add", "a.py"], [*who, "commit", "-q", "-m", "shop"]):
            subprocess.run(["git", "-C", root, *words], check=True)

    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            (item,) = await client.inline(uri, 1, 11)
            await client.accept(item, uri)
            document = types.TextDocumentIdentifier(uri)
            client.text_document_did_save(types.DidSaveTextDocumentParams(document))
            client.type(uri, 1, 11, changed, end=(1, 16))
            text = await client.run("p2assist.testing.text", uri)
            commit(text)
            client.text_document_did_save(types.DidSaveTextDocumentParams(document))
            async with asyncio.timeout(SECONDS):
                while not committed():
                    await asyncio.sleep(0.05)
                    await client.run("p2assist.testing.flush")

    def committed() -> list[Event]:
        events = (store.events(e.key) for e in store.experiences() if e.feedback)
        return [event for some in events for event in some if event.kind == "committed"]

    commit(ADD)
    asyncio.run(main())
    (event,) = committed()
    head = ["git", "-C", root, "rev-parse", "HEAD"]
    sha = subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()
    assert event.data == {"commit": sha, "share": share}


def test_rejected_never_comes_back_and_what_was_written_is_kept(serve: Serve, store: Store) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            assert texts(await client.inline(uri, 1, 11)) == ["a + b"]
            client.type(uri, 1, 11, "s")
            client.type(uri, 1, 12, "um((a, b))")
            client.type(uri, 4, 0, "#")
            client.type(uri, 1, 11, "", end=(1, 22))
            again = await client.inline(uri, 1, 11, invoked=True)
            assert set(texts(again)) == {"a - b", "a"}
            await client.run("p2assist.testing.flush")

    asyncio.run(main())
    kept = {e.candidate.text: e for e in store.experiences()}
    (feedback,) = kept["a + b"].feedback
    assert feedback.kind is FeedbackKind.REJECTED
    assert feedback.kept == "sum((a, b))"


def test_typed_through_is_followed_over_new_requests(serve: Serve, store: Store) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            for at, key in enumerate("a + b"):
                assert texts(await client.inline(uri, 1, 11 + at)) == ["a + b"[at:]]
                client.type(uri, 1, 11 + at, key)
            await client.run("p2assist.testing.flush")

    asyncio.run(main())
    kept = {e.candidate.text: e for e in store.experiences()}
    assert [f.kind for f in kept["a + b"].feedback] == [FeedbackKind.TYPED_THROUGH]


def test_an_escape_that_the_client_tells_is_a_rejection(serve: Serve, store: Store) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            items = await client.inline(uri, 1, 11)
            await client.run("p2assist.rejected", items[0].command.arguments[0])
            again = await client.inline(uri, 1, 11, invoked=True)
            assert set(texts(again)) == {"a - b", "a"}
            await client.run("p2assist.testing.flush")

    asyncio.run(main())
    kept = {e.candidate.text: e for e in store.experiences()}
    assert [f.kind for f in kept["a + b"].feedback] == [FeedbackKind.REJECTED]


def test_an_escape_names_what_is_shown_further_on(serve: Serve, store: Store) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            await client.inline(uri, 1, 11)
            client.type(uri, 1, 11, "a")
            (rest,) = await client.inline(uri, 1, 12)
            await client.run("p2assist.rejected", rest.command.arguments[0])
            assert rest.insert_text not in texts(await client.inline(uri, 1, 12, invoked=True))
            await client.run("p2assist.testing.flush")

    asyncio.run(main())
    kept = {e.candidate.text: e for e in store.experiences()}
    assert [f.kind for f in kept["a + b"].feedback] == [FeedbackKind.REJECTED]


def test_a_part_of_one_letter_is_taken_though_the_rest_is_rejected(
    serve: Serve, store: Store
) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            (item,) = await client.inline(uri, 1, 11)
            client.type(uri, 1, 11, "a")
            part = item.command.arguments[0] | {"acceptedLength": 1}
            await client.run("p2assist.partiallyAccepted", part)
            (rest,) = await client.inline(uri, 1, 12)
            await client.run("p2assist.rejected", rest.command.arguments[0])
            await client.run("p2assist.testing.flush")

    asyncio.run(main())
    kept = {e.candidate.text: e for e in store.experiences()}
    assert [f.kind for f in kept["a + b"].feedback] == [FeedbackKind.PARTIALLY_ACCEPTED]


def test_what_is_taken_from_the_list_was_accepted(serve: Serve, store: Store) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            await client.inline(uri, 1, 11)
            told = await client.hears("p2assist/evidence", lambda e: len(e.candidates) > 1)
            other = next(c for c in told.candidates if c.text == "a - b")
            client.type(uri, 1, 11, other.text)
            await client.run("p2assist.accepted", {"id": other.id, "uri": uri})
            await client.run("p2assist.testing.flush")

    asyncio.run(main())
    given = {e.candidate.text: [f.kind for f in e.feedback] for e in store.experiences()}
    assert given["a - b"] == [FeedbackKind.ACCEPTED]
    assert given["a + b"] == []


def test_githubs_notifications_are_understood(serve: Serve, store: Store) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            (item,) = await client.inline(uri, 1, 11)
            plain = {
                "insertText": item.insert_text,
                "command": {"arguments": [{"id": item.command.arguments[0]["id"], "uri": uri}]},
            }
            client.protocol.notify("textDocument/didShowCompletion", {"item": plain})
            client.protocol.notify(
                "textDocument/didPartiallyAcceptCompletion", {"item": plain, "acceptedLength": 5}
            )
            client.protocol.notify("textDocument/didShowCompletion", {"item": 1})
            await client.run("p2assist.testing.flush")

    asyncio.run(main())
    kept = {e.candidate.text: e for e in store.experiences()}
    assert [f.kind for f in kept["a + b"].feedback] == [FeedbackKind.ACCEPTED]
