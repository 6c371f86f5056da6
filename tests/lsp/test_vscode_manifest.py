"""The VS Code extension's manifest says what PROTOCOL.md says; needs no node."""

import json
import re
from pathlib import Path
from typing import Any

LSP = Path(__file__).parents[2] / "lsp"
PROTOCOL = (LSP / "PROTOCOL.md").read_text(encoding="utf-8")
MANIFEST = json.loads((LSP / "vscode" / "package.json").read_text(encoding="utf-8"))
CONTRIBUTES = MANIFEST["contributes"]

# The editor fills these in itself.
NOT_A_SETTING = {"trusted", "editor"}


def settings() -> dict[str, dict[str, Any]]:
    pages = CONTRIBUTES["configuration"]
    return {key: value for page in pages for key, value in page["properties"].items()}


def options_of_the_protocol() -> dict[str, Any]:
    block = re.search(r"^    \{\n.*?^    \}\n", PROTOCOL, re.M | re.S)
    assert block
    return json.loads(re.sub(r"//.*", "", block.group()))


def test_every_option_is_a_setting_with_the_same_default() -> None:
    known = settings()
    for name, default in options_of_the_protocol().items():
        if name in NOT_A_SETTING:
            continue
        flat = (
            {f"{name}.{part}": value for part, value in default.items()}
            if isinstance(default, dict)
            else {name: default}
        )
        for key, value in flat.items():
            assert known[f"p2assist.{key}"]["default"] == value, key


def test_the_extensions_commands_are_not_the_servers() -> None:
    # The language client registers the server's in VS Code: a second one of that name throws.
    rows = [line for line in PROTOCOL.splitlines() if line.startswith("| `p2assist.")]
    servers = {name for row in rows for name in re.findall(r"`(p2assist\.\w+)`", row.split("|")[1])}
    ours = {command["command"] for command in CONTRIBUTES["commands"]}
    assert len(servers) >= 10
    assert not servers & ours


def test_every_key_runs_a_command_that_is_there() -> None:
    commands = {command["command"] for command in CONTRIBUTES["commands"]}
    for binding in CONTRIBUTES["keybindings"]:
        assert binding["command"] in commands
        assert "config.p2assist.keys" in binding["when"]


def test_it_runs_beside_the_files() -> None:
    assert MANIFEST["extensionKind"] == ["workspace"]
    assert MANIFEST["capabilities"]["untrustedWorkspaces"]["supported"] == "limited"
