"""examples/editors/: the files are well-formed and name settings that exist."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EDITORS = ROOT / "examples/editors"
COMMAND = ["p2assist", "lsp"]


def protocol_settings() -> set[str]:
    block = (ROOT / "lsp/PROTOCOL.md").read_text().split("    {\n", 1)[1].split("\n    }", 1)[0]
    return set(re.findall(r'^ +"(\w+)":', block, re.MULTILINE))


def read(name: str) -> Any:
    text = (EDITORS / name).read_text()
    return tomllib.loads(text) if name.endswith(".toml") else json.loads(text)


def helix() -> tuple[list[str], Mapping[str, Any]]:
    server = read("helix.languages.toml")["language-server"]["p2assist"]
    return [server["command"], *server["args"]], server["config"]


def kate() -> tuple[list[str], Mapping[str, Any]]:
    server = read("kate.json")["servers"]["python"]
    return server["command"], server["initializationOptions"]


def sublime() -> tuple[list[str], Mapping[str, Any]]:
    server = read("sublime.LSP.sublime-settings")["clients"]["p2assist"]
    return server["command"], server["initializationOptions"]


def zed() -> tuple[list[str], Mapping[str, Any]]:
    server = read("zed.settings.json")["lsp"]["pylsp"]
    command = [Path(server["binary"]["path"]).name, *server["binary"]["arguments"]]
    return command, server["initialization_options"]


@pytest.mark.parametrize("editor", [helix, kate, sublime, zed])
def test_starts_the_server_with_settings_of_the_protocol(editor):
    command, options = editor()
    assert command == COMMAND
    assert set(options) <= protocol_settings()
    assert options["trusted"] is not True, "an example trusts no folder that it does not name"


def test_vscode_settings_are_the_extensions():
    package = json.loads((ROOT / "lsp/vscode/package.json").read_text())
    known: set[str] = set()
    for section in package["contributes"]["configuration"]:
        known |= set(section["properties"])
    ours = {name for name in read("vscode.settings.json") if name.startswith("p2assist.")}
    assert ours and ours <= known


def test_helix_names_the_server_for_python():
    language = read("helix.languages.toml")["language"][0]
    assert language["name"] == "python" and "p2assist" in language["language-servers"]


def test_every_file_is_on_the_page():
    page = (EDITORS / "README.md").read_text()
    for file in EDITORS.iterdir():
        if file.name != "README.md":
            assert f"({file.name})" in page
    for target in re.findall(r"\]\(([^)]+)\)", page):
        assert (EDITORS / target).exists(), target
