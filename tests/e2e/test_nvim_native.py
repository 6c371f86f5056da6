"""Neovim 0.12's own inline completion, which draws what p2assist offers."""

from __future__ import annotations

import sys
import time

import pytest

pytest.importorskip("pynvim", reason="make e2e-setup installs it")

from nvim_driver import ROOT, Neovim, lua_list, offered, told, wait

pytestmark = pytest.mark.e2e

SUM = "(a, b):\n    return a + b"
ENABLE = "vim.lsp.inline_completion.enable()"
LINE = "return require('p2assist').statusline()"


@pytest.fixture
def version() -> str:
    return "0.12"


@pytest.fixture
def editor(start) -> Neovim:
    editor = start('ghost = "native"')
    editor.until_attached()
    return editor


def until_native(editor: Neovim, text: str) -> None:
    wait(lambda: editor.native_ghost() == text, lambda: f"{text!r}: {editor.native_ghost()!r}")


def test_type_see_it_with_evidence_in_the_status_line_and_accept_it(editor, journal):
    editor.type("GAdef add")
    until_native(editor, SUM)
    assert editor.ghost() == "", "it is drawn once"
    wait(lambda: "7/7 covering tests" in editor.lua(LINE), lambda: editor.lua(LINE))
    editor.type("<M-l>")
    wait(lambda: editor.lines()[-2:] == ["def add(a, b):", "    return a + b"], "accepted")
    assert editor.cursor() == (3, len("    return a + b"))
    accepted = journal.until("accepted")["id"]
    assert told(journal) == [("shown", accepted), ("accepted", accepted)]
    assert editor.native_ghost() == ""


def test_what_was_typed_since_is_not_inserted_twice(editor, journal):
    editor.type("GAdef add")
    until_native(editor, SUM)
    editor.type("(a<M-l>")
    wait(lambda: len(editor.lines()) == 3, lambda: str(editor.lines()))
    assert editor.lines()[-2:] == ["def add(a, b):", "    return a + b"]
    journal.until("accepted")


def test_a_word_is_accepted_and_the_rest_offered_again(editor, journal):
    editor.type("GAdef add")
    until_native(editor, SUM)
    editor.type("<M-w>")
    wait(lambda: editor.lines()[-1] == "def add(", "a word")
    assert journal.until("partiallyAccepted")["acceptedLength"] == 1
    until_native(editor, SUM[1:])
    editor.type("<M-j>")
    wait(lambda: editor.lines()[-1] == "def add(a, b):", "a line")
    until_native(editor, SUM[len("(a, b):") :])
    editor.type("<M-l>")
    journal.until("accepted")
    assert editor.lines()[-1] == "    return a + b"
    assert [what for what, _ in told(journal)] == [
        *["shown", "partiallyAccepted", "shown", "partiallyAccepted", "shown", "accepted"]
    ]


@pytest.mark.parametrize(("keys", "mode"), [("<Esc>", "n"), ("<C-]>", "i")])
def test_what_was_read_is_rejected(editor, journal, keys, mode):
    editor.type("GAdef add")
    until_native(editor, SUM)
    time.sleep(0.3)  # a person reads it
    editor.type(keys)
    rejected = journal.until("rejected")["id"]
    assert told(journal) == [("shown", rejected), ("rejected", rejected)]
    assert editor.api.api.get_mode()["mode"] == mode
    assert editor.native_ghost() == "" and editor.lines()[-1] == "def add"


def test_a_key_is_free_where_what_is_drawn_no_longer_fits(start):
    editor = start('ghost = "native", keys = { accept = "<Tab>" }')
    editor.until_attached()
    editor.type("GAdef add")
    until_native(editor, SUM)
    editor.type("x<Tab>y")
    wait(lambda: editor.lines()[-1].endswith("y"), "typed")
    assert editor.lines()[-1].split() == ["def", "addx", "y"]


def test_commands_are_about_what_is_shown(editor, journal):
    editor.type("GAdef add")
    until_native(editor, SUM)
    shown = journal.until("shown")["id"]
    editor.type("<Cmd>P2assist test<CR>")
    assert journal.until("test")["id"] == shown
    editor.type("<Cmd>P2assist never<CR>")
    assert journal.until("never")["id"] == shown
    until_native(editor, "")


@pytest.mark.parametrize("when", ["before", "after"])
def test_our_own_ghost_text_stands_alone(start, when):
    """Another server's user turns Neovim's own on, for all servers."""
    editor = start(init=ENABLE if when == "before" else "")
    editor.until_attached()
    if when == "after":
        editor.lua(ENABLE)
    offered(editor)
    editor.until_ghost(SUM)
    time.sleep(0.5)  # Neovim asks after 0.2 seconds
    assert editor.native_ghost() == ""
    editor.api.command("checkhealth p2assist")
    assert "ERROR" not in "\n".join(editor.lines())


def test_without_setup_by_neovims_own_means_alone(project, journal, tmp_path, binary):
    command = [sys.executable, str(ROOT / "tests/e2e/standin.py")]
    editor = Neovim(
        tmp_path / "home",
        project / "shop.py",
        f"""
        vim.lsp.config("p2assist", {{ cmd = {lua_list(command)} }})
        vim.lsp.enable("p2assist")
        {ENABLE}
        vim.keymap.set("i", "<Tab>", function()
          return vim.lsp.inline_completion.get() and "" or "<Tab>"
        end, {{ expr = true }})
        """,
        {"P2ASSIST_STANDIN_LOG": str(journal.path)},
        binary,
    )
    try:
        editor.until_attached()
        editor.type("GAdef add")
        until_native(editor, SUM)
        editor.type("<Tab>")
        wait(lambda: editor.lines()[-2:] == ["def add(a, b):", "    return a + b"], "accepted")
        journal.until("accepted")
    finally:
        editor.close()
