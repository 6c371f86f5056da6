"""A real Neovim to drive: headless, by its own API, with p2assist's plugin and nothing else."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pynvim
import waiting

ROOT = Path(__file__).resolve().parents[2]
EDITORS = ROOT / ".e2e/neovim"
VERSIONS = ("0.10", "0.11", "0.12")
BINARY = EDITORS / "0.11/nvim"
PLUGIN = ROOT / "lsp/nvim"
PATIENCE = 40.0  # seconds that a test waits for what must come
wait = partial(waiting.wait, patience=PATIENCE)


# Every mark that draws text, as {namespace, row, column, words, lines below}.
MARKS = """
local found = {}
for name, id in pairs(vim.api.nvim_get_namespaces()) do
  if vim.startswith(name, "p2assist.") or name == "nvim.lsp.inline_completion" then
    for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, id, 0, -1, { details = true })) do
      local details = mark[4]
      local words, below = "", {}
      for _, chunk in ipairs(details.virt_text or {}) do words = words .. chunk[1] end
      for _, line in ipairs(details.virt_lines or {}) do below[#below + 1] = line[1][1] end
      if details.virt_text or details.virt_lines then
        found[#found + 1] = { name, mark[2], mark[3], words, below, mark[1] }
      end
    end
  end
end
return found
"""


def attach(socket: Path) -> pynvim.Nvim | None:
    try:
        return pynvim.attach("socket", path=str(socket))
    except OSError:  # not there yet, or not listening yet
        return None


@dataclass
class Journal:
    """What the language server wrote down."""

    path: Path

    def all(self, what: str | None = None) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [entry for entry in entries if what in (None, entry["what"])]

    def until(self, what: str, count: int = 1) -> dict[str, Any]:
        """The count-th entry of a kind, waited for."""
        return wait(lambda: self.all(what)[count - 1 : count], f"{count} x {what}")[0]


# What a person's init.lua holds: the plugin, a status line with its words, real colours.
SCREEN = """
vim.opt.rtp:prepend([[{plugin}]])
vim.o.swapfile, vim.o.number, vim.o.showmode, vim.o.ruler = false, true, false, false
vim.o.termguicolors, vim.o.laststatus, vim.o.shortmess = true, 2, vim.o.shortmess .. "I"
vim.o.statusline = " %t %m%= %{{v:lua.require'p2assist'.statusline()}} "
require("p2assist").setup{{ cmd = {command}, trusted = {{ [[{project}]] }}, ghost = "{ghost}" }}
"""


def runtime(binary: Path) -> dict[str, str]:
    """The environment in which a Neovim uses its own files, whatever the machine has."""
    return {"VIMRUNTIME": str(binary.resolve().parents[1] / "share/nvim/runtime")}


def lua_list(words: list[str]) -> str:
    return "{ " + ", ".join(f"[[{word}]]" for word in words) + " }"


def homes(home: Path) -> dict[str, str]:
    """The environment in which Neovim keeps everything below a folder."""
    home.mkdir(parents=True, exist_ok=True)
    return {f"XDG_{name}_HOME": str(home) for name in ("CONFIG", "DATA", "STATE", "CACHE")}


def screen_settings(
    home: Path, project: Path, command: list[str], binary: Path = BINARY, ghost: str = "own"
) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment of a Neovim for a terminal."""
    environment = {**homes(home), **runtime(binary)}
    script = home / "init.lua"
    places = {"plugin": PLUGIN, "project": project}
    script.write_text(SCREEN.format(**places, command=lua_list(command), ghost=ghost))
    return [str(binary), "--clean", "-u", str(script)], environment


def text_of(marks: list[list[Any]]) -> str:
    return "".join("\n".join([mark[2], *mark[3]]) for mark in marks)


class Neovim:
    """One running Neovim and what is drawn in it."""

    def __init__(
        self,
        home: Path,
        file: Path,
        init: str,
        environment: dict[str, str],
        binary: Path = BINARY,
    ) -> None:
        self.home = home
        self.file = file
        places = {**homes(home), **runtime(binary)}
        script = home / "init.lua"
        script.write_text(f"vim.opt.rtp:prepend([[{PLUGIN}]])\nvim.o.swapfile = false\n{init}")
        socket = home / f"socket-{len(list(home.glob('socket-*')))}"
        self.process = subprocess.Popen(
            [binary, "--clean", "--headless", "--listen", socket, "-u", script, file],
            env={**os.environ, **places, **environment},
            stdin=subprocess.DEVNULL,
        )
        self.api = wait(lambda: attach(socket), "Neovim's socket")

    @property
    def pid(self) -> int:
        return int(self.lua("return vim.fn.getpid()"))

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.api.exec_lua(code, *arguments)

    def type(self, keys: str) -> None:
        self.api.input(keys)

    def lines(self) -> list[str]:
        return list(self.api.current.buffer[:])

    def cursor(self) -> tuple[int, int]:
        return tuple(self.api.current.window.cursor)

    def marks(self, kind: str) -> list[list[Any]]:
        return [mark[1:] for mark in self.lua(MARKS) if mark[0] == kind]

    def native_ghost(self) -> str:
        """The ghost text that Neovim itself draws."""
        return text_of(self.marks("nvim.lsp.inline_completion"))

    def ghost(self) -> str:
        """The ghost text as a reader sees it; "" for none."""
        return text_of(self.marks("p2assist.ghost"))

    def evidence(self) -> str:
        """The words at the end of the line."""
        return "".join(mark[2] for mark in self.marks("p2assist.evidence")).strip()

    def attached(self) -> bool:
        return bool(
            self.lua(
                "local c = vim.lsp.get_clients({ name = 'p2assist' })[1]"
                " return c ~= nil and c.initialized == true and next(c.attached_buffers) ~= nil"
            )
        )

    def until_attached(self) -> None:
        wait(self.attached, "the server attached")

    def until_ghost(self, text: str) -> None:
        wait(lambda: self.ghost() == text, lambda: f"ghost {text!r}, it is {self.ghost()!r}")

    def until_evidence(self, words: str) -> None:
        wait(lambda: self.evidence() == words, lambda: f"{words!r}, it is {self.evidence()!r}")

    def messages(self) -> str:
        return self.api.command_output("messages")

    def close(self) -> None:
        if self.process.poll() is None:
            try:
                self.api.command("qa!", async_=True)
                self.process.wait(5)
            except (subprocess.TimeoutExpired, OSError, EOFError):
                self.process.kill()
                self.process.wait()
        if "api" not in self.__dict__:
            return  # it is closed
        with warnings.catch_warnings():  # pynvim leaves its socket to the garbage collector
            warnings.simplefilter("ignore", ResourceWarning)
            with suppress(OSError, EOFError):
                self.api.close()
            del self.api
            gc.collect()


def offered(editor: Neovim, typed: str = "def add") -> None:
    editor.type("GA" + typed)
    wait(editor.ghost, "ghost text")


def told(journal: Journal) -> list[tuple[str, str]]:
    """What the client said about candidates, in order."""
    about = ("shown", "accepted", "partiallyAccepted", "rejected", "never")
    return [(entry["what"], entry["id"]) for entry in journal.all() if entry["what"] in about]
