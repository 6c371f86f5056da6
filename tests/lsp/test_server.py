"""The protocol, as a client meets it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from p2assist_lsp.protocol import plain

from p2assist.replay.store import Store

from .conftest import ADD, ANSWERS, SCRIPT, Serve, texts


def test_it_says_what_it_can(serve: Serve) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            able = client.capabilities
            assert able.inline_completion_provider is not None
            assert able.text_document_sync.change is types.TextDocumentSyncKind.Incremental
            assert able.notebook_document_sync is not None
            assert able.hover_provider
            commands = set(able.execute_command_provider.commands)
            assert {"p2assist.accepted", "p2assist.why", "p2assist.never"} <= commands

    asyncio.run(main())


def test_the_best_at_once_and_all_when_invoked(serve: Serve) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            items = await client.inline(uri, 1, 11)
            assert texts(items) == ["a + b"]
            command = items[0].command
            assert command.command == "p2assist.accepted"
            assert command.arguments[0]["uri"] == uri
            assert items[0].range == types.Range(types.Position(1, 11), types.Position(1, 11))
            everything = await client.inline(uri, 1, 11, invoked=True)
            assert texts(everything)[0] == "a + b"
            assert set(texts(everything)) == set(ANSWERS["return"])
            assert await client.inline(uri, 0, 0) == []  # [], not null

    asyncio.run(main())


def test_the_evidence_comes_beside_what_is_shown(serve: Serve) -> None:
    async def main() -> None:
        async with serve(SCRIPT | {"answers": {"return": ["a - b", "a + b"]}}) as client:
            uri = client.open("a.py", ADD)
            shown = await client.inline(uri, 1, 11)
            assert texts(shown) == ["a - b"]
            told = await client.hears(
                "p2assist/evidence",
                lambda e: all(c.state == "tested" for c in e.candidates),
            )
            assert told.uri == uri
            best, other = told.candidates
            assert (best.text, best.passed, best.total) == ("a + b", 2, 2)
            assert best.evidence == "2/2 covering tests pass"
            assert other.failing == ["t.py::test_sum"]
            assert other.evidence == "fails test_sum"
            assert 0 < other.p2value < best.p2value
            assert texts(await client.inline(uri, 1, 11)) == ["a + b"]  # the next is ranked by it
            assert texts(await client.inline(uri, 1, 11, invoked=True)) == ["a + b", "a - b"]
            hover = await client.text_document_hover_async(
                types.HoverParams(types.TextDocumentIdentifier(uri), types.Position(1, 4))
            )
            assert "2/2 covering tests pass" in hover.contents.value

    asyncio.run(main())


def test_show_with_evidence_waits_and_hide_failing_hides(serve: Serve) -> None:
    async def main() -> None:
        script = SCRIPT | {"answers": {"return": ["a - b", "a + b"]}, "testSeconds": 0.05}
        async with serve(script, show="with evidence", patience=30_000, hideFailing=True) as client:
            uri = client.open("a.py", ADD)
            assert texts(await client.inline(uri, 1, 11)) == ["a + b"]
            await client.hears(
                "p2assist/evidence",
                lambda e: all(c.state == "tested" for c in e.candidates),
            )
            assert texts(await client.inline(uri, 1, 11, invoked=True)) == ["a + b"]

    asyncio.run(main())


def test_nothing_is_tested_where_no_test_covers(serve: Serve) -> None:
    async def main() -> None:
        async with serve({"answers": ANSWERS}) as client:
            uri = client.open("a.py", ADD)
            await client.inline(uri, 1, 11)
            told = await client.hears("p2assist/evidence", lambda e: e.candidates)
            assert {c.state for c in told.candidates} == {"untested"}
            assert {c.evidence for c in told.candidates} == {"no covering test"}
            assert told.candidates[0].passRate is None
            assert told.candidates[0].p2value is None

    asyncio.run(main())


def test_an_untrusted_folder_runs_nothing_and_keeps_nothing(serve: Serve, store: Store) -> None:
    async def main() -> None:
        async with serve(SCRIPT, trusted=False) as client:
            uri = client.open("a.py", ADD)
            items = await client.inline(uri, 1, 11)
            assert texts(items) == ["a + b"]
            told = await client.hears("p2assist/evidence", lambda e: e.candidates)
            assert {c.state for c in told.candidates} == {"untested"}
            assert {c.evidence for c in told.candidates} == {"untested: not trusted"}
            await client.accept(items[0], uri)
            await client.run("p2assist.testing.flush")
            assert store.stats().candidates == 0
            await client.run("p2assist.trust", {"folder": client.root.as_uri(), "trusted": True})
            await client.hears("p2assist/status", lambda s: s.state == "ready")
            client.type(uri, 1, 11, "", end=(1, 16))
            await client.inline(uri, 1, 11)
            await client.hears(
                "p2assist/evidence", lambda e: any(c.state == "tested" for c in e.candidates)
            )

    asyncio.run(main())


def test_a_newer_request_supersedes_the_older(serve: Serve) -> None:
    async def main() -> None:
        async with serve({"answers": ANSWERS, "seconds": 0.3}) as client:
            uri = client.open("a.py", ADD)
            older = asyncio.create_task(client.inline(uri, 1, 11))
            await asyncio.sleep(0.1)
            newer = await client.inline(uri, 1, 11)
            assert texts(newer) == ["a + b"]
            assert await older == []

    asyncio.run(main())


def test_the_commands_name_what_was_offered(serve: Serve) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            items = await client.inline(uri, 1, 11, invoked=True)
            name = items[1].command.arguments[0]["id"]
            tested = await client.run("p2assist.test", {"id": name})
            assert (tested["text"], tested["state"]) == (items[1].insert_text, "tested")
            place = {"uri": uri, "position": {"line": 1, "character": 11}}
            why = await client.run("p2assist.why", place)
            assert "a + b" in why["markdown"]
            assert "P2Value" in why["markdown"]
            assert "```diff" in why["markdown"]
            assert len(why["candidates"]) == 3
            await client.run("p2assist.never", {"id": name})
            assert items[1].insert_text not in texts(await client.inline(uri, 1, 11, invoked=True))
            await client.run("p2assist.pause")
            assert await client.inline(uri, 1, 11) == []
            assert (await client.run("p2assist.status"))["state"] == "paused"
            await client.run("p2assist.resume")
            assert await client.inline(uri, 1, 11) != []
            assert await client.run("p2assist.reload") == ""
            nothing = await client.run("p2assist.why", {"id": "p2-0"})
            assert nothing["candidates"] == []
            for name in ("accepted", "rejected", "shown", "never", "partiallyAccepted"):
                assert await client.run(f"p2assist.{name}", {"id": "p2-0", "uri": uri}) is None
                assert await client.run(f"p2assist.{name}") is None

    asyncio.run(main())


def test_plain_completion_for_other_clients(serve: Serve) -> None:
    async def main() -> None:
        async with serve(SCRIPT | {"answers": {"ret": ["urn a"]}}, inline=False) as client:
            uri = client.open("a.py", "def f(a):\n    ret\n")
            where = types.TextDocumentIdentifier(uri), types.Position(1, 7)
            found = await client.text_document_completion_async(types.CompletionParams(*where))
            (item,) = found.items
            assert (item.label, item.filter_text) == ("return a", "return a")
            assert item.text_edit.range.start == types.Position(1, 4)
            await client.hears(
                "p2assist/evidence", lambda e: all(c.state == "tested" for c in e.candidates)
            )
            full = await client.completion_item_resolve_async(item)
            assert "2/2 covering tests pass" in full.documentation.value

    asyncio.run(main())


def test_plain_completion_is_silent_beside_inline(serve: Serve) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.py", ADD)
            where = types.TextDocumentIdentifier(uri), types.Position(1, 11)
            found = await client.text_document_completion_async(types.CompletionParams(*where))
            assert list(found.items) == []

    asyncio.run(main())


def test_a_selected_entry_is_extended(serve: Serve) -> None:
    async def main() -> None:
        async with serve({"answers": {"print(add": ["(3, 4)"]}}) as client:
            uri = client.open("a.py", "print(ad\n")
            word = types.Range(types.Position(0, 6), types.Position(0, 8))
            selected = types.SelectedCompletionInfo(word, "add")
            (item,) = await client.inline(uri, 0, 8, selected=selected)
            assert (item.insert_text, item.range) == ("add(3, 4)", word)

    asyncio.run(main())


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 6), ("utf-16", 4), ("utf-32", 3)])
def test_positions_are_in_the_clients_units(serve: Serve, encoding: str, character: int) -> None:
    async def main() -> None:
        async with serve({"answers": {"'🐍' +": ["1"]}}, encodings=[encoding]) as client:
            assert client.capabilities.position_encoding == encoding
            uri = client.open("a.py", "'🐍'\n")
            client.type(uri, 0, character, " -")
            client.type(uri, 0, character + 1, "+", end=(0, character + 2))
            assert await client.run("p2assist.testing.text", uri) == "'🐍' +\n"
            (item,) = await client.inline(uri, 0, character + 2)
            assert item.range.start == types.Position(0, character + 2)

    asyncio.run(main())


def test_settings_change_and_bad_ones_are_told(serve: Serve) -> None:
    async def main() -> None:
        async with serve({"answers": {"*": ["1"]}}) as client:
            uri = client.open("a.py", "# x =\ny = 'x ='\nx =\n")
            assert await client.inline(uri, 0, 5) != []
            given: dict[str, Any] = {"p2assist": {"trusted": True, "inComments": False, "beams": 0}}
            client.workspace_did_change_configuration(types.DidChangeConfigurationParams(given))
            told = await client.hears("window/showMessage", lambda m: "beams" in m.message)
            assert "the default holds" in told.message
            assert await client.inline(uri, 0, 5) == []
            client.configuration = {"trusted": True, "automatic": False}
            client.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
            await asyncio.sleep(0.2)
            assert await client.inline(uri, 2, 3) == []
            assert await client.inline(uri, 2, 3, invoked=True) != []

    asyncio.run(main())


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_change_of_configuration_that_says_nothing_changes_nothing(
    serve: Serve, nothing: object
) -> None:
    async def main() -> None:
        async with serve(SCRIPT, automatic=False) as client:
            uri = client.open("a.py", ADD)
            client.workspace_did_change_configuration(types.DidChangeConfigurationParams(nothing))
            assert await client.inline(uri, 1, 11) == []
            assert plain(await client.run("p2assist.status"))["state"] == "ready"

    asyncio.run(main())


@pytest.mark.parametrize(("named", "state"), [(".", "ready"), ("elsewhere", "untrusted")])
def test_trust_may_name_folders(serve: Serve, tmp_path: Path, named: str, state: str) -> None:
    async def main() -> None:
        async with serve(SCRIPT, trusted=[str(tmp_path / named)], until=state) as client:
            assert plain(await client.run("p2assist.status"))["state"] == state

    asyncio.run(main())


def test_several_roots_and_files_of_none(serve: Serve, tmp_path: Path) -> None:
    async def main() -> None:
        one, two = tmp_path / "one", tmp_path / "two"
        one.mkdir()
        two.mkdir()
        async with serve(SCRIPT, folders=[one], exclude=["generated/**"]) as client:
            event = types.WorkspaceFoldersChangeEvent(
                [types.WorkspaceFolder(two.as_uri(), "2")], []
            )
            client.workspace_did_change_workspace_folders(
                types.DidChangeWorkspaceFoldersParams(event)
            )
            client.root = two
            first = client.open("a.py", ADD)
            await client.hears(
                "p2assist/status", lambda s: (s.folder, s.state) == (two.as_uri(), "ready")
            )
            client.told.clear()
            assert await client.inline(first, 1, 11) != []
            excluded = client.open("generated/a.py", ADD)
            assert await client.inline(excluded, 1, 11) == []
            client.root = tmp_path
            lone = client.open("lone.py", ADD)
            await client.hears("p2assist/status", lambda s: s.state == "untrusted")
            assert await client.inline(lone, 1, 11) != []
            gone = types.WorkspaceFoldersChangeEvent([], [types.WorkspaceFolder(two.as_uri(), "2")])
            client.workspace_did_change_workspace_folders(
                types.DidChangeWorkspaceFoldersParams(gone)
            )

    asyncio.run(main())


@pytest.mark.parametrize("remote", ["", "ssh-remote%2Bhost", "127.0.0.1:8080"])
def test_cells_of_a_notebook_know_those_above(serve: Serve, remote: str) -> None:
    async def main() -> None:
        async with serve({"answers": {"x =": ["total"]}}) as client:
            uri = client.uri("n.ipynb")
            cell = uri.replace("file://", f"vscode-notebook-cell://{remote}")
            names = [f"{cell}#{n}" for n in "ab"]
            cells = [types.NotebookCell(types.NotebookCellKind.Code, name) for name in names]
            items = [
                types.TextDocumentItem(names[0], "python", 1, "%pip install x\ntotal = 1"),
                types.TextDocumentItem(names[1], "python", 1, "x ="),
            ]
            notebook = types.NotebookDocument(uri, "jupyter-notebook", 1, cells)
            client.notebook_document_did_open(types.DidOpenNotebookDocumentParams(notebook, items))
            (item,) = await client.inline(names[1], 0, 3)
            assert item.insert_text == "total"
            assert item.range.start == types.Position(0, 3)
            told = client.told["p2assist/evidence"][-1]
            assert told.candidates[0].evidence != "untested: not trusted", "it is in the folder"
            folders = {status.folder for status in client.told["p2assist/status"]}
            assert folders == {uri.removesuffix("/n.ipynb")}

    asyncio.run(main())


def test_loading_and_indexing_say_how_far_they_are(serve: Serve) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            states = [status.state for status in client.told["p2assist/status"]]
            assert states[-1] == "ready"
            assert {"loading", "indexing"} <= set(states)

            def kinds() -> list[str]:
                return [params.value["kind"] for params in client.told["$/progress"]]

            async with asyncio.timeout(10.0):
                while kinds().count("end") < 2:  # the last may come after the status
                    await asyncio.sleep(0.01)
            assert kinds().count("begin") == kinds().count("end") == 2

    asyncio.run(main())


def test_every_folder_has_a_status_of_its_own(serve: Serve, tmp_path: Path) -> None:
    async def main() -> None:
        roots = [tmp_path / "one", tmp_path / "two"]
        for root in roots:
            root.mkdir()
        uris = [root.as_uri() for root in roots]
        async with serve(SCRIPT, folders=roots, trusted=[str(roots[0])]) as client:
            await client.hears("p2assist/status", lambda s: s.folder == uris[0] and s.tests == 2)
            await client.hears(
                "p2assist/status", lambda s: (s.folder, s.state) == (uris[1], "untrusted")
            )
            client.told.clear()
            await client.run("p2assist.pause")
            assert {s.folder: s.state for s in client.told["p2assist/status"]} == dict.fromkeys(
                uris, "paused"
            )

    asyncio.run(main())


def test_what_is_offered_while_the_tests_are_found_is_tested_later(serve: Serve) -> None:
    async def main() -> None:
        async with serve(SCRIPT | {"indexSeconds": 1.0}, until="indexing") as client:
            uri = client.open("a.py", ADD)
            (item,) = await client.inline(uri, 1, 11)
            told = await client.hears("p2assist/evidence", lambda e: e.candidates)
            assert {c.evidence for c in told.candidates} == {"tests are still being found"}
            assert {c.state for c in told.candidates} == {"untested"}
            assert client.told["p2assist/status"][-1].state == "indexing"
            told = await client.hears(
                "p2assist/evidence", lambda e: all(c.state == "tested" for c in e.candidates)
            )
            assert told.candidates[0].id == item.command.arguments[0]["id"]
            assert told.candidates[0].evidence == "2/2 covering tests pass"

    asyncio.run(main())


def test_a_model_that_cannot_be_loaded_is_said_and_nothing_hangs(serve: Serve) -> None:
    async def main() -> None:
        async with serve({"loading": "no model of that name"}, until="failed") as client:
            uri = client.open("a.py", ADD)
            assert await client.inline(uri, 1, 11) == []
            assert client.told["p2assist/status"][-1].words == "no model of that name"

    asyncio.run(main())


def test_other_languages_are_left_alone(serve: Serve) -> None:
    async def main() -> None:
        async with serve(SCRIPT) as client:
            uri = client.open("a.js", "return ", language="javascript")
            assert await client.inline(uri, 0, 7) == []

    asyncio.run(main())


def test_nothing_but_the_protocol_is_on_stdout(tmp_path: Path) -> None:
    """Not even what something prints."""
    body = json.dumps({"jsonrpc": "2.0", "method": "exit"}).encode()
    code = (
        "from p2assist_lsp.server import Server, run\n"
        "class Noisy(Server):\n"
        "    def start_io(self, *a, **k):\n"
        "        import os; print('noise'); os.write(1, b'noise')\n"
        "        super().start_io(*a, **k)\n"
        "run(Noisy())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"Content-Length: %d\r\n\r\n%s" % (len(body), body),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == b""
    assert b"noise" in done.stderr


def test_the_first_answer_waits_for_no_database_and_no_torch() -> None:
    """The server starts in each window: what it imports before the first answer is felt."""
    code = (
        "import sys, p2assist_lsp.server, p2assist.practice.workspace\n"
        "heavy = {'torch', 'transformers', 'sqlalchemy', 'detect_secrets', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
