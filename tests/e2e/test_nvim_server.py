"""The Neovim plugin with the real language server, the embedded model and real tests."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pynvim", reason="make e2e-setup installs it")
pytest.importorskip("pygls", reason="make e2e-setup installs it")

from nvim_driver import VERSIONS, Neovim, lua_list, wait
from quickstart import Quickstart, quickstart

from p2assist.config import load
from p2assist.learning.registry import Base, Manifest, Registry
from p2assist.pocket import weights_path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.model,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]

STATE = "return require('p2assist.status').of().state"
SPOKEN = re.compile(r"covering test|fails test_\w+")
LINE = "return require('p2assist').statusline()"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Quickstart]:
    with quickstart(tmp_path) as project:
        yield project


@pytest.fixture
def ghost() -> str:
    """Who draws the ghost text."""
    return "own"


@pytest.fixture
def editor(shop: Quickstart, tmp_path: Path, binary: Path, ghost: str) -> Iterator[Neovim]:
    editor = Neovim(
        tmp_path / "home",
        shop.root / "basket/pricing.py",
        'require("p2assist").setup({ '
        f"cmd = {lua_list(shop.command)}, trusted = {lua_list([str(shop.root)])}, "
        f'ghost = "{ghost}" }})',
        shop.environment,
        binary,
    )
    until_ready(editor)
    yield editor
    editor.close()


def until_ready(editor: Neovim) -> None:
    wait(lambda: editor.lua(STATE) == "ready", lambda: f"ready: {editor.lua(STATE)}", patience=120)


def write_anew(editor: Neovim, line: int, beginning: str) -> str:
    """On a busy machine an answer can come too late to be shown: the last key is pressed again."""
    editor.type(f"<Esc>{line}GS{beginning}")
    for _ in range(8):
        with contextlib.suppress(AssertionError):
            return wait(editor.ghost, "ghost text", patience=8)
        editor.type(f"<BS>{beginning[-1]}")
    raise AssertionError(f"no ghost text after {beginning!r}")


def spoken(editor: Neovim) -> str:
    """The evidence of what is shown, when the tests have spoken."""
    return wait(
        lambda: SPOKEN.search(editor.evidence()) and editor.evidence(),
        lambda: f"evidence, it is {editor.evidence()!r}",
        patience=60,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_store_holds_exactly_what_happened(editor, shop):
    write_anew(editor, 17, "percent")
    first = editor.ghost()
    spoken(editor)
    editor.type("<Esc>")  # rejected
    write_anew(editor, 17, "percent" + first[:2])
    assert editor.ghost() != first[2:], "rejected there is never offered there again"
    second = editor.ghost()
    editor.type("<M-]>")
    wait(lambda: editor.ghost() not in ("", second), "the next candidate")
    spoken(editor)
    taken = editor.ghost()
    editor.type("<M-l>")
    line = f"        percent{first[:2]}{taken}".split("\n")
    wait(lambda: editor.lines()[16 : 16 + len(line)] == line, "accepted")
    editor.type("<Esc>:w<CR>")
    wait(lambda: "accepted" in {kind for _, kind in shop.kept()}, "kept")
    editor.close()
    assert shop.kept() == sorted([(first, "rejected"), (taken, "accepted")])


@pytest.mark.parametrize(("version", "ghost"), [("0.12", "native")])
def test_what_neovims_own_ghost_text_became_is_kept(editor, shop):
    editor.type("<Esc>17GSpercent")
    first = wait(editor.native_ghost, "Neovim's own ghost text", patience=60)
    time.sleep(0.3)  # a person sees it
    editor.type("<Esc>")  # rejected
    wait(lambda: (first, "rejected") in shop.kept(), "kept", patience=30)
    editor.type(f"17GSpercent{first[:2]}")
    second = wait(editor.native_ghost, "another one", patience=60)
    assert second != first[2:], "rejected there is never offered there again"
    wait(lambda: SPOKEN.search(editor.lua(LINE)), lambda: editor.lua(LINE), patience=60)
    editor.type("<M-l>")
    line = f"        percent{first[:2]}{second}".split("\n")
    wait(lambda: editor.lines()[16 : 16 + len(line)] == line, "accepted")
    editor.type("<Esc>:wq<CR>")
    editor.process.wait(20)
    wait(lambda: "accepted" in {kind for _, kind in shop.kept()}, "kept", patience=30)
    assert shop.kept() == sorted([(first, "rejected"), (second, "accepted")])


@pytest.mark.parametrize(("keys", "kind"), [("<M-l>", "accepted"), ("", "rejected")])
def test_quitting_at_once_loses_nothing(editor, shop, keys, kind):
    write_anew(editor, 17, "percent")
    ghost = editor.ghost()
    time.sleep(0.3)  # a person sees it
    editor.type(f"{keys}<Esc>:wq<CR>")
    editor.process.wait(20)
    wait(lambda: shop.kept(), "kept", patience=30)  # the server ends after the editor
    assert shop.kept() == [(ghost, kind)]


def test_a_part_is_taken_and_the_rest_is_not(editor, shop):
    write_anew(editor, 17, "percent")
    ghost = editor.ghost()
    before = editor.lines()[16]
    editor.type("<M-w>")
    wait(lambda: editor.lines()[16] != before, "a word is taken")
    part = editor.lines()[16].removeprefix(before)
    assert ghost.startswith(part)
    assert part != ghost
    time.sleep(0.3)
    editor.type("<Esc>:wq<CR>")
    editor.process.wait(20)
    wait(lambda: shop.kept(), "kept", patience=30)
    assert (ghost, "partially accepted") in shop.kept()


def test_a_killed_server_comes_back_and_what_was_kept_stays(editor, shop):
    write_anew(editor, 17, "percent")
    spoken(editor)
    time.sleep(0.3)  # a person sees it
    editor.type("<Esc>")
    wait(lambda: any(kind == "rejected" for _, kind in shop.kept()), "kept", patience=30)
    os.kill(server(editor), signal.SIGKILL)
    wait(lambda: editor.lua(STATE) != "ready", "its end is noticed")
    until_ready(editor)
    write_anew(editor, 9, "re")
    assert "rejected" in {kind for _, kind in shop.kept()}


def test_an_adapter_serves_after_reload(editor, shop, tmp_path):
    name = promote(shop.root, tmp_path / "adapter")
    editor.type(":P2assist reload<CR>")
    wait(lambda: name in editor.lua(LINE), lambda: editor.lua(LINE), patience=60)
    write_anew(editor, 9, "re")
    assert name in editor.lua(LINE)


def server(editor: Neovim) -> int:
    """The language server's process."""
    done = subprocess.run(
        ["pgrep", "-P", str(editor.pid), "-f", "p2assist lsp"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[0])


def promote(root: Path, folder: Path) -> str:
    """Makes a LoRA adapter of random weights the Champion; its name."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(weights_path())
    lora = LoraConfig(r=2, init_lora_weights=False, target_modules="all-linear")
    get_peft_model(model, lora).save_pretrained(folder, save_embedding_layers=False)
    base = Base.from_model("pocket", str(weights_path()))
    manifest = Manifest(base=base, data="", objective="none", seed=0, settings={})
    registry = Registry(load(root).state)
    adapter = registry.add(folder, manifest)
    registry.promote(adapter.name, "for the test")
    return adapter.name
