"""examples/editors/: the files are well-formed and name settings that exist."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

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


def test_the_dev_container_brings_the_extension_and_what_it_starts():
    container = read("devcontainer.json")
    package = json.loads((ROOT / "lsp/vscode/package.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    editor = container["customizations"]["vscode"]
    made = shlex.split(package["scripts"]["package"])
    assert [Path(name).name for name in editor["extensions"]] == [
        name for name in made if name.endswith(".vsix")
    ]
    make, install = (shlex.split(part) for part in container["onCreateCommand"].split("&&"))
    environment, requirement = make[-1], install[-1]
    assert make == ["python3", "-m", "venv", environment]
    assert install == [f"{environment}/bin/pip", "install", requirement]
    assert editor["settings"] == {"p2assist.path": f"{environment}/bin/p2assist"}
    name, extras = re.fullmatch(r"(\w+)\[([\w,]+)\]", requirement).groups()
    assert name == project["name"] and name in project["scripts"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    image, version = container["image"].split(":")
    assert image == "python" and version in SpecifierSet(project["requires-python"])


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
