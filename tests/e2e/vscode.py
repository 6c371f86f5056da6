"""A real VS Code to drive: code-server on loopback, looked at with Chromium."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import waiting
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CODE_SERVER = ROOT / ".e2e/code-server/node_modules/code-server/out/node/entry.js"
VSIX = ROOT / "lsp/vscode/p2assist.vsix"
SHOTS = ROOT / ".e2e/shots/vscode"
PATIENCE = 60.0  # seconds that a test waits for what must come
wait = partial(waiting.wait, patience=PATIENCE)
NEEDS = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CODE_SERVER.exists(), reason="make e2e-setup fetches VS Code"),
]


SETTINGS: dict[str, Any] = {
    "workbench.startupEditor": "none",
    "workbench.colorTheme": "Default Dark Modern",
    "workbench.tips.enabled": False,
    "files.hotExit": "off",
    "files.autoSave": "off",
    "editor.inlineSuggest.enabled": True,
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.wordBasedSuggestions": "off",
    "editor.minimap.enabled": False,
    "editor.fontSize": 14,
    "editor.autoClosingBrackets": "never",
    "telemetry.telemetryLevel": "off",
    "extensions.autoUpdate": False,
    "extensions.autoCheckUpdates": False,
    "update.mode": "none",
    "chat.disableAIFeatures": True,
}

CELLS = ".cell-editor-container .view-lines"

# Ghost text is split in tokens, and DOM order is not reading order.
GHOST = """() => {
  const seen = [...document.querySelectorAll('[class*="ghost-text"]')]
    .filter(e => !e.querySelector('[class*="ghost-text"]') && e.textContent)
    .map(e => ({ text: e.textContent, box: e.getBoundingClientRect() }))
    .filter(e => e.box.width > 0);
  seen.sort((a, b) => a.box.top - b.box.top || a.box.left - b.box.left);
  let lines = [], top = null;
  for (const { text, box } of seen) {
    if (top === null || box.top - top > 4) { lines.push(''); top = box.top; }
    lines[lines.length - 1] += text;
  }
  return lines.join('\\n').replace(/[\\u00a0\\u00b7]/g, ' ');
}"""


# A view line is matched with its number by its height on the screen.
LINE = """number => {
  const shown = [...document.querySelectorAll('.margin-view-overlays .line-numbers')];
  const mark = shown.find(e => e.textContent.trim() === String(number));
  if (!mark) return '';
  const top = mark.getBoundingClientRect().top;
  const line = [...document.querySelectorAll('.view-lines .view-line')]
    .find(e => Math.abs(e.getBoundingClientRect().top - top) < 3);
  if (!line) return '';
  const copy = line.cloneNode(true);
  copy.querySelectorAll('[class*="ghost-text"]').forEach(e => e.remove());
  return copy.textContent.replace(/[\\u00a0\\u00b7]/g, ' ');
}"""


@dataclass
class Profile:
    """A user's data folder: new, with the extension in it."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        places = {f"XDG_{name}_HOME": str(self.home / name) for name in ("CONFIG", "DATA", "STATE")}
        return {**os.environ, **places}

    @property
    def arguments(self) -> list[str]:
        data, extensions = self.home / "data", self.home / "extensions"
        return ["--user-data-dir", str(data), "--extensions-dir", str(extensions)]

    def set(self, settings: dict[str, Any]) -> None:
        """Writes the user's settings; VS Code takes up a change while it runs."""
        for scope in ("User", "Machine"):
            self.write(scope, {**SETTINGS, **settings})

    def write(self, scope: str, settings: dict[str, Any]) -> None:
        file = self.home / "data" / scope / "settings.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings, indent=2))

    def install(self, vsix: Path) -> None:
        command = ["node", CODE_SERVER, *self.arguments, "--install-extension", vsix]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)


@contextlib.contextmanager
def code_server(profile: Profile, environment: dict[str, str], *arguments: str) -> Iterator[str]:
    """Runs it; gives its address. It and all that it started end with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *("node", CODE_SERVER, *profile.arguments),
        *("--auth", "none", "--bind-addr", f"127.0.0.1:{port}"),
        *("--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"),
        *arguments,
    ]
    with (profile.home / "code-server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**profile.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait(lambda: _healthy(port), "code-server")
            yield f"http://127.0.0.1:{port}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def chromium(width: int = 1120, height: int = 640) -> Iterator[Callable[[], Page]]:
    """Runs it; gives a function that opens a new page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync"],
        )
        context = browser.new_context(viewport={"width": width, "height": height})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield context.new_page
        context.close()
        browser.close()


class Window:
    """One VS Code window and what a person sees in it."""

    def __init__(self, page: Page, address: str, folder: Path, file: str) -> None:
        self.page = page
        page.set_default_timeout(2000 * PATIENCE)  # milliseconds: starting takes longest
        self.folder = folder
        self.file = folder / file
        # Quick open needs ripgrep, which is not fetched: the address opens the file.
        remote = f"vscode-remote://{address.partition('//')[2]}{self.file}"
        payload = json.dumps([["openFile", remote]])
        query = urllib.parse.urlencode({"folder": str(folder), "payload": payload})
        page.goto(f"{address}/?{query}", wait_until="domcontentloaded")
        page.wait_for_selector(f".tab[data-resource-name='{self.file.name}']")
        page.locator(".editor-instance .view-lines").first.click()
        self.press("Control+End")

    @classmethod
    def of_notebook(cls, page: Page, address: str, workspace: Path, file: Path) -> Window:
        """On a workspace of several folders, with a notebook of one of them in VS Code's own editor
        for it; no kernel is needed to type."""
        window = cls.__new__(cls)
        window.page, window.folder, window.file = page, file.parent, file
        page.set_default_timeout(2000 * PATIENCE)
        query = urllib.parse.urlencode({"workspace": str(workspace)})
        page.goto(f"{address}/?{query}", wait_until="domcontentloaded")
        row = ".explorer-folders-view .monaco-list-row[aria-label^='{}']"
        page.locator(row.format(file.parent.name)).click()  # unfolds it
        cells = page.locator(CELLS)
        for _ in range(5):
            page.locator(row.format(file.name)).dblclick()
            with contextlib.suppress(AssertionError):
                wait(cells.count, "cells", patience=8)
                return window
            # It was opened before that editor was known, as text.
            page.locator(".tab.active").click(button="middle")  # closes it
        raise AssertionError("no notebook editor")

    def cell(self, number: int) -> None:
        """Into a code cell, counted from 1."""
        self.page.locator(CELLS).nth(number - 1).click()

    def type(self, text: str, delay: int = 40) -> None:
        self.page.keyboard.type(text, delay=delay)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def command(self, title: str) -> None:
        """From the command palette, as a person finds it."""
        self.page.keyboard.press("F1")
        box = self.page.locator(".quick-input-widget input[type=text]")
        box.wait_for(state="visible")
        box.fill(f">{title}")
        row = f".quick-input-list .monaco-list-row.focused[aria-label*='{title}']"
        self.page.wait_for_selector(row)
        self.page.keyboard.press("Enter")

    def line(self, number: int) -> None:
        """Goes to a line, counted from 1."""
        self.page.keyboard.press("Control+g")
        box = self.page.locator(".quick-input-widget input[type=text]")
        box.wait_for(state="visible")
        box.fill(f":{number}")
        self.page.keyboard.press("Enter")
        box.wait_for(state="hidden")

    def text(self, number: int) -> str:
        """A line of the buffer as it is shown, ghost text left out; it must be on screen."""
        return str(self.page.evaluate(LINE, number))

    def focus(self) -> None:
        """Into the editor, with the cursor where it was."""
        self.page.locator(f".tab[data-resource-name='{self.file.name}']").first.click()

    def ghost(self) -> str:
        return str(self.page.evaluate(GHOST)).rstrip()

    def bar(self) -> str:
        """The words of p2assist's two entries in the status bar."""
        entries = self.page.locator(".statusbar-item[id*='p2assist.']").all_inner_texts()
        return " | ".join(" ".join(entry.split()) for entry in entries if entry.strip())

    def list(self) -> list[str]:
        """The rows of the list that is open."""
        rows = self.page.locator(".quick-input-list .monaco-list-row")
        return [row.get_attribute("aria-label") or "" for row in rows.all()]

    def saved(self) -> str:
        """The file's text, after saving it."""
        self.page.keyboard.press("Control+s")
        wait(lambda: self.page.locator(".tab.active.dirty").count() == 0, "saved")
        return self.file.read_text()

    def until_ghost(self, text: str) -> None:
        wait(lambda: self.ghost() == text, lambda: f"ghost {text!r}, it is {self.ghost()!r}")

    def until_bar(self, words: str) -> None:
        wait(lambda: words in self.bar(), lambda: f"{words!r} in the bar, it is {self.bar()!r}")

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")
