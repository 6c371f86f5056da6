"""The Neovim plugin in a real Neovim, against a stand-in for the language server."""

from __future__ import annotations

import os
import re
import signal

import pytest

pytest.importorskip("pynvim", reason="make e2e-setup installs it")

from nvim_driver import PLUGIN, ROOT, VERSIONS, offered, told, wait

pytestmark = pytest.mark.e2e

SUM = "(a, b):\n    return a + b"
DIFFERENCE = "(a, b):\n    return a - b"
every_version = pytest.mark.parametrize("version", VERSIONS)


@every_version
def test_type_see_ghost_text_and_its_evidence_and_accept_it(editor, journal):
    offered(editor)
    editor.until_ghost(SUM)
    editor.until_evidence("7/7 covering tests")
    assert editor.lines()[-1] == "def add"
    editor.type("<M-l>")
    wait(lambda: editor.lines()[-2:] == ["def add(a, b):", "    return a + b"], "accepted")
    assert editor.cursor() == (3, len("    return a + b"))
    assert editor.ghost() == "" and editor.evidence() == ""
    accepted = journal.until("accepted")
    assert told(journal) == [("shown", accepted["id"]), ("accepted", accepted["id"])]
    editor.type("<Esc>u")
    wait(lambda: editor.lines()[-1] == "def add", "one undo takes the completion back")


def test_typing_what_is_shown_keeps_it_and_asks_nothing(editor, journal):
    offered(editor)
    shown = journal.until("shown")["id"]
    asked = len(journal.all("ask"))
    editor.type("(a")
    editor.until_ghost(", b):\n    return a + b")
    editor.type("x")
    editor.until_ghost("")
    journal.until("ask", asked + 1)
    assert len(journal.all("ask")) == asked + 1
    assert told(journal) == [("shown", shown)], "what was typed says the rest"


def test_the_evidence_moves_no_ghost_text(start):
    editor = start()
    editor.until_attached()
    offered(editor)
    before = editor.marks("p2assist.ghost")
    editor.until_evidence("testing…")
    editor.until_evidence("7/7 covering tests")
    assert editor.marks("p2assist.ghost") == before


@every_version
def test_cycling_asks_for_all_candidates_once(editor, journal):
    offered(editor)
    editor.type("<M-]>")
    editor.until_ghost(DIFFERENCE)
    editor.until_evidence("2/3 · fails test_add")
    editor.type("<M-]>")
    editor.until_ghost("(*terms):\n    return sum(terms)")
    editor.type("<M-]>")
    editor.until_ghost(SUM)
    editor.type("<M-[><M-[>")
    editor.until_ghost(DIFFERENCE)
    assert [entry["kind"] for entry in journal.all("ask") if entry["ids"]] == [2, 1]
    editor.type("<M-l>")
    wait(lambda: editor.lines()[-1] == "    return a - b", "the shown one accepted")
    everything = {entry["ids"][1] for entry in journal.all("ask") if len(entry["ids"]) == 3}
    assert {journal.until("accepted")["id"]} == everything


@every_version
def test_accepting_a_word_a_line_and_the_rest(editor, journal):
    offered(editor)
    editor.type("<M-w>")
    wait(lambda: editor.lines()[-1] == "def add(", "a word")
    editor.until_ghost("a, b):\n    return a + b")
    editor.type("<M-j>")
    wait(lambda: editor.lines()[-1] == "def add(a, b):", "a line")
    editor.type("<M-j>")
    wait(lambda: editor.lines()[-1] == "    return a + b", "the last line")
    journal.until("accepted")
    lengths = [entry["acceptedLength"] for entry in journal.all("partiallyAccepted")]
    assert lengths == [1, len("(a, b):")]
    assert [what for what, _ in told(journal)] == [
        "shown",
        "partiallyAccepted",
        "partiallyAccepted",
        "accepted",
    ]


@every_version
def test_accepted_length_counts_utf16_units(editor, journal):
    offered(editor, "def smile")
    editor.until_evidence("untested")
    for count, line in enumerate(
        ["def smile():", "def smile(): return", 'def smile(): return "'], 1
    ):
        editor.type("<M-w>")
        wait(lambda line=line: editor.lines()[-1] == line, line)
        journal.until("partiallyAccepted", count)
    editor.type("<M-w>")
    journal.until("partiallyAccepted", 4)
    accepted = editor.lines()[-1].removeprefix("def smile")
    assert "😀" in accepted
    units = len(accepted.encode("utf-16-le")) // 2
    assert journal.all("partiallyAccepted")[-1]["acceptedLength"] == units


@every_version
def test_escape_rejects_what_was_there_to_be_read(editor, journal):
    offered(editor)
    editor.until_evidence("7/7 covering tests")
    editor.type("<Esc>")
    rejected = journal.until("rejected")
    assert told(journal) == [("shown", rejected["id"]), ("rejected", rejected["id"])]
    assert editor.ghost() == "" and editor.lines()[-1] == "def add"


def test_dismiss_stays_in_insert_mode(editor, journal):
    offered(editor)
    editor.type("<C-]>")
    journal.until("rejected")
    assert editor.ghost() == ""
    assert editor.api.api.get_mode()["mode"] == "i"


def test_moving_away_says_nothing(editor, journal):
    offered(editor)
    journal.until("shown")
    editor.type("<Left>")
    editor.until_ghost("")
    assert [what for what, _ in told(journal)] == ["shown"]


@every_version
def test_a_superseded_request_is_cancelled(start, journal):
    editor = start(P2ASSIST_STANDIN_THINKING="0.5")
    editor.until_attached()
    editor.type("GAdef add")
    journal.until("thinking")
    editor.type("(")
    journal.until("cancelled")
    editor.until_ghost("a, b):\n    return a + b")
    assert [what for what, _ in told(journal)] == ["shown"]


def test_tab_belongs_to_the_completion_menu(start, journal):
    mapped = 'vim.keymap.set("i", "<Tab>", "MAPPED")'
    editor = start('keys = { accept = "<Tab>" }', init=mapped)
    editor.until_attached()
    editor.type("GAadditional address<CR>add<C-n>")
    wait(lambda: editor.lua("return vim.fn.pumvisible()") == 1, "the menu")
    assert editor.ghost() == ""
    editor.type("<Esc>odef add")
    editor.until_ghost(SUM)
    editor.type("<Tab>")
    journal.until("accepted")
    editor.type("<CR><Tab>")
    wait(lambda: editor.lines()[-1].endswith("MAPPED"), "the mapping from before")


def test_a_key_typed_right_behind_what_no_longer_fits_is_itself(start):
    editor = start('keys = { accept = "<Tab>" }')
    editor.until_attached()
    offered(editor)
    editor.type("x<Tab>y")
    wait(lambda: editor.lines()[-1].endswith("y"), "typed")
    assert editor.lines()[-1].split() == ["def", "addx", "y"]


@every_version
def test_the_server_comes_back_after_it_was_killed(editor, journal):
    offered(editor)
    os.kill(journal.until("initialize")["process"], signal.SIGKILL)
    editor.until_ghost("")
    second = journal.until("initialize", 2)
    assert second["options"]["trusted"] is True
    editor.until_attached()
    editor.type("<Esc>odef add")
    editor.until_ghost(SUM)
    assert "p2assist.log" not in editor.messages()
    editor.type("<Esc>:P2assist log<CR>")
    wait(lambda: any("signal 9" in line for line in editor.lines()), "the log says so")


@every_version
def test_restart_leaves_one_server(editor, journal):
    editor.type(":P2assist restart<CR>")
    journal.until("initialize", 2)
    editor.until_attached()
    wait(
        lambda: editor.lua("return #vim.lsp.get_clients({ name = 'p2assist' })") == 1, "one server"
    )
    assert len(journal.all("initialize")) == 2


def test_reload_serves_the_champion(editor, journal):
    editor.type(":P2assist reload<CR>")
    journal.until("reload")
    line = "return require('p2assist').statusline()"
    wait(lambda: "adapter-2" in editor.lua(line), "the status line names it")
    assert "serves adapter-2" in editor.messages()


def test_pause_resume_and_status(editor, journal):
    line = "return require('p2assist').statusline()"
    editor.type(":P2assist pause<CR>")
    wait(lambda: "paused" in editor.lua(line), "paused")
    editor.type(":P2assist resume<CR>")
    wait(lambda: "paused" not in editor.lua(line), "on again")
    editor.type(":P2assist<CR>")
    wait(lambda: "model pocket · adapter none · tests 7" in editor.messages(), "the status")
    assert journal.all("pause") and journal.all("resume")


@every_version
def test_why_shows_the_candidates_and_colours_the_diff(editor, journal):
    offered(editor)
    editor.type("<M-?>")
    asked = journal.until("why")
    assert asked["id"] == journal.until("shown")["id"]
    find = """
      for _, window in ipairs(vim.api.nvim_list_wins()) do
        if vim.api.nvim_win_get_config(window).relative ~= "" then
          local buffer = vim.api.nvim_win_get_buf(window)
          local space = vim.api.nvim_create_namespace("p2assist.why")
          local marks = vim.api.nvim_buf_get_extmarks(buffer, space, 0, -1, { details = true })
          return {
            table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), "\\n"),
            vim.tbl_map(function(mark) return mark[4].hl_group end, marks),
          }
        end
      end
    """
    text, groups = wait(lambda: editor.lua(find), "the window")
    assert "\n1  0.90         7/7 covering tests\n2  0.45         fails test_add" in text
    assert text.endswith("\n-    return a - b\n+    return a + b")
    assert groups == ["Title", "Removed", "Added"]
    assert editor.ghost() == SUM


def test_why_of_a_place_after_the_offer_is_gone(editor, journal):
    editor.type("gg:P2assist why<CR>")
    asked = journal.until("why")
    assert asked["position"] == {"line": 0, "character": 0}
    assert asked["uri"].endswith("/shop.py")


def test_test_and_never(editor, journal):
    offered(editor)
    shown = journal.until("shown")["id"]
    editor.type("<Cmd>P2assist test<CR>")
    assert journal.until("test")["id"] == shown
    wait(lambda: "p2assist: 7/7 covering tests" in editor.messages(), "the outcome")
    editor.type("<Cmd>P2assist never<CR>")
    assert journal.until("never")["id"] == shown
    editor.until_ghost("")
    editor.type("<BS>d")
    editor.until_ghost(DIFFERENCE)


def test_an_untrusted_folder_runs_nothing_before_an_explicit_yes(start, journal, tmp_path):
    editor = start(trusted=False)
    editor.until_attached()
    assert journal.until("initialize")["options"]["trusted"] is False
    assert "is not trusted, so its tests do not run" in editor.messages()
    offered(editor)
    editor.until_evidence("untested")
    editor.type("<Esc>:P2assist trust<CR>")
    trust = journal.until("trust")
    assert trust["folder"] == (tmp_path / "project").as_uri() and trust["trusted"] is True
    assert journal.all("configure")[-1]["options"]["trusted"] is True
    editor.close()
    start(trusted=False).until_attached()
    assert journal.until("initialize", 2)["options"]["trusted"] is True


def test_a_no_outlives_the_settings(start, journal):
    editor = start()
    editor.until_attached()
    editor.type(":P2assist trust no<CR>")
    assert journal.until("trust")["trusted"] is False
    editor.close()
    start().until_attached()
    assert journal.until("initialize", 2)["options"]["trusted"] is False


def test_a_damaged_trust_file_trusts_nothing_and_is_kept(start, journal, tmp_path):
    kept = tmp_path / "home/nvim/p2assist/trust.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{ half")
    editor = start()
    editor.until_attached()
    assert journal.until("initialize")["options"]["trusted"] is False
    editor.type(":P2assist trust<CR>")
    wait(lambda: "trust.json is damaged" in editor.messages(), "told")
    assert kept.read_text() == "{ half"


def test_bad_settings_are_told_and_the_defaults_hold(start, journal):
    editor = start(
        'beams = 0, show = "never", exclude = "x", colour = 3, keys = { acept = "<F2>" }'
    )
    editor.until_attached()
    options = journal.until("initialize")["options"]
    assert (options["beams"], options["show"], options["exclude"]) == (8, "at once", [])
    messages = editor.messages()
    for complaint in (
        "beams: wants a whole number from 1 to 64, not 0",
        'show: wants one of { "at once", "with evidence" }, not "never"',
        "exclude: wants a list of strings",
        "colour is no setting",
        "keys.acept is no key",
    ):
        assert complaint in messages


def test_every_setting_of_the_protocol_is_sent(start, journal):
    protocol = (ROOT / "lsp/PROTOCOL.md").read_text()
    block = protocol.split("    {\n", 1)[1].split("\n    }", 1)[0]
    named = set(re.findall(r'^ +"(\w+)":', block, re.MULTILINE))
    editor = start("hide_failing = true, debounce = { least = 5, most = 9 }, beams = 3")
    editor.until_attached()
    options = journal.until("initialize")["options"]
    assert set(options) == named
    assert (options["hideFailing"], options["beams"]) == (True, 3)
    assert options["debounce"] == {"least": 5, "most": 9}


def test_automatic_off_offers_only_when_invoked(start, journal):
    editor = start("automatic = false")
    editor.until_attached()
    editor.type("GAdef add")
    wait(lambda: editor.lines()[-1] == "def add", "typed")
    assert editor.ghost() == "" and journal.all("ask") == []
    editor.type("<M-\\>")
    editor.until_ghost(SUM)
    assert [entry["kind"] for entry in journal.all("ask")] == [1]


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_by_vim_lsp_enable(start):
    editor = start(
        "autostart = false", init="vim.schedule(function() vim.lsp.enable('p2assist') end)"
    )
    editor.until_attached()
    offered(editor)
    editor.until_ghost(SUM)


def test_the_words_of_the_command_complete(editor):
    complete = "return vim.fn.getcompletion(..., 'cmdline')"
    assert editor.lua(complete, "P2assist re") == ["reload", "restart", "resume"]
    assert editor.lua(complete, "P2assist trust ") == ["yes", "no"]
    editor.type(":P2assist lern<CR>")
    wait(lambda: "no such command: lern; there are log, never" in editor.messages(), "told")


@every_version
def test_checkhealth(start, version):
    editor = start()
    editor.until_attached()
    editor.api.command("checkhealth p2assist")
    report = "\n".join(editor.lines())
    assert f"OK Neovim {version}." in report and "server for " in report
    assert "ERROR" not in report


def test_the_help_file(editor, tmp_path):
    copy = tmp_path / "plugin/doc"
    copy.mkdir(parents=True)
    (copy / "p2assist.txt").write_text((PLUGIN / "doc/p2assist.txt").read_text())
    editor.api.command(f"helptags {copy}")
    tags = (copy / "tags").read_text()
    names = editor.lua("return vim.tbl_keys(require('p2assist.config').settings)")
    keys = editor.lua("return vim.tbl_keys(require('p2assist.config').keys)")
    words = editor.lua("return require('p2assist.commands').names()")
    for tag in [
        *(f"p2assist-setting-{name}" for name in names),
        *(f"p2assist-key-{key}" for key in keys),
        *(f":P2assist-{word}" for word in words),
    ]:
        assert f"{tag}\t" in tags


def test_the_lualine_component_says_what_the_status_line_does(start):
    stub = """
      package.preload["lualine.component"] = function()
        return { extend = function() return { options = {} } end }
      end
    """
    editor = start(init=stub)
    editor.until_attached()
    offered(editor)
    editor.until_evidence("7/7 covering tests")
    component = """
      local component = require("lualine.components.p2assist")
      return { component:update_status(), component.options.color }
    """
    text, colour = editor.lua(component)
    assert text == "p2 · pocket · 7/7 covering tests"
    assert re.fullmatch("#[0-9a-f]{6}", colour["fg"])
