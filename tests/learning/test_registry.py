from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from p2assist.errors import AdapterError, ModelError
from p2assist.learning.gate import Decision
from p2assist.learning.registry import CONFIG, MANIFEST, WEIGHTS, Base, Manifest, Registry

BASE = Base("pocket", "b" * 64)
MANIFEST_ = Manifest(
    base=BASE,
    data="d" * 64,
    objective="weighted",
    seed=0,
    settings={"rank": 16},
    sources={"self": 3},
    champion={"pass_at_1": 0.1, "mean_pass_rate": None},
    decision=Decision(True, "better", "pass@1", 0.9, 40, 0.1, 0.01, 0.2),
)


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "state")


@pytest.fixture
def trained(tmp_path):
    """Makes the folder of a trained adapter with the given weights."""

    def make(weights: bytes):
        folder = tmp_path / f"trained-{weights.hex()}"
        folder.mkdir(exist_ok=True)
        (folder / WEIGHTS).write_bytes(weights)
        (folder / CONFIG).write_text('{"r": 16}')
        return folder

    return make


def test_what_is_added_is_found_with_its_whole_manifest(registry, trained):
    name = registry.name_for(trained(b"one"))
    adapter = registry.add(trained(b"one"), MANIFEST_)
    assert adapter.name == name
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-[0-9a-f]{6}", name)
    assert registry.get(name, BASE) == adapter
    assert registry.list() == [adapter]
    manifest = adapter.manifest
    assert manifest.decision == MANIFEST_.decision
    assert manifest.champion == MANIFEST_.champion
    assert set(manifest.files) == {WEIGHTS, CONFIG}
    assert sorted(p.name for p in adapter.path.iterdir()) == [CONFIG, WEIGHTS, MANIFEST]


def test_the_same_weights_again_are_the_same_adapter(registry, trained):
    first = registry.add(trained(b"one"), MANIFEST_)
    assert registry.name_for(trained(b"one")) == first.name
    assert registry.add(trained(b"one"), MANIFEST_) == first
    assert registry.add(trained(b"two"), MANIFEST_).name != first.name
    assert len(registry.list()) == 2


def test_a_folder_without_an_adapter_is_refused(registry, tmp_path):
    with pytest.raises(AdapterError, match="damaged"):
        registry.add(tmp_path, MANIFEST_)
    assert registry.list() == []


def test_without_any_adapter_the_base_model_serves(registry):
    assert registry.champion(BASE) is None
    assert registry.champion_name == ""
    assert registry.list() == [] and registry.damaged() == {}
    with pytest.raises(AdapterError, match="nothing to go back to"):
        registry.rollback()


def test_promote_and_roll_back(registry, trained):
    one, two = (registry.add(trained(w), MANIFEST_) for w in (b"one", b"two"))
    registry.promote(one.name, "first")
    registry.promote(two.name, "second", BASE)
    registry.promote(two.name, "twice changes nothing")
    assert registry.champion(BASE) == two
    assert registry.rollback() == one
    assert registry.champion() == one
    assert registry.rollback("too slow") is None
    assert registry.champion() is None
    told = [(change.name, change.kind, change.reason) for change in registry.history()]
    assert told == [
        (one.name, "promote", "first"),
        (two.name, "promote", "second"),
        (one.name, "rollback", "asked for"),
        ("", "rollback", "too slow"),
    ]


def truncate(path):
    (path / WEIGHTS).write_bytes((path / WEIGHTS).read_bytes()[:-1])


def no_weights(path):
    (path / WEIGHTS).unlink()


def torn_config(path):
    (path / CONFIG).write_text("{")


def no_manifest(path):
    (path / MANIFEST).unlink()


def newer_manifest(path):
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**manifest, "schema": 2}))


def no_digests(path):
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**manifest, "files": {}}))


@pytest.mark.parametrize(
    "damage", [truncate, no_weights, torn_config, no_manifest, newer_manifest, no_digests]
)
def test_a_damaged_champion_is_refused_and_can_be_rolled_back(damage, registry, trained):
    one, two, three = (registry.add(trained(w), MANIFEST_) for w in (b"one", b"two", b"three"))
    for adapter in (one, two, three):
        registry.promote(adapter.name, "better")
    damage(three.path)
    damage(two.path)
    with pytest.raises(AdapterError, match=r"damaged.*p2assist adapters rollback"):
        registry.champion(BASE)
    with pytest.raises(AdapterError, match="damaged"):
        registry.promote(two.name, "again")
    assert set(registry.damaged()) == {two.name, three.name}
    assert one in registry.list()
    assert registry.rollback() == one  # past the damaged one between them
    assert two.name in registry.history()[-1].reason


def test_a_renamed_folder_is_damaged(registry, trained):
    adapter = registry.add(trained(b"one"), MANIFEST_)
    adapter.path.rename(registry.root / "mine")
    assert "mine" in registry.damaged()


def test_another_base_model_is_refused_with_both_names(registry, trained):
    adapter = registry.add(trained(b"one"), MANIFEST_)
    registry.promote(adapter.name, "better")
    other = Base("bigger", "c" * 64)
    with pytest.raises(AdapterError, match=r"another base model \(pocket.*bigger.*set `model`"):
        registry.champion(other)
    assert registry.champion(Base("renamed", BASE.digest)) == adapter


@pytest.mark.parametrize("name", ["", "nobody", "../state", "..", ".lock", "a/b"])
def test_an_unknown_name_says_where_to_look(name, registry, trained):
    registry.add(trained(b"one"), MANIFEST_)
    with pytest.raises(AdapterError, match="p2assist adapters ls"):
        registry.get(name)


def test_a_damaged_pointer_is_not_taken_for_the_base_model(registry, trained):
    registry.promote(registry.add(trained(b"one"), MANIFEST_).name, "better")
    (registry.root / "CHAMPION.json").write_text('{"stack": ["", ')
    with pytest.raises(AdapterError, match=r"CHAMPION\.json is damaged: remove it"):
        registry.champion()


def test_what_a_killed_add_left_is_no_adapter_and_goes_away(registry, trained):
    left = registry.root / ".part-2026-01-01-abcdef"
    left.mkdir(parents=True)
    (left / WEIGHTS).write_bytes(b"half")
    assert registry.list() == []
    registry.add(trained(b"one"), MANIFEST_)
    assert not left.exists()


KILLED = """
import sys
from pathlib import Path
from p2assist.learning.registry import CONFIG, WEIGHTS, Base, Manifest, Registry
registry = Registry(Path(sys.argv[1]))
source = Path(sys.argv[2])
source.mkdir(parents=True)
(source / CONFIG).write_text("{}")
for n in range(100_000):
    (source / WEIGHTS).write_bytes(b"w" * 200_000 + str(n).encode())
    manifest = Manifest(base=Base("m", "d"), data="", objective="", seed=n, settings={})
    adapter = registry.add(source, manifest)
    registry.promote(adapter.name, "better")
    print(adapter.name, flush=True)
"""


@pytest.mark.parametrize("after", [1, 4, 7])
def test_kill_9_leaves_whole_adapters_and_a_champion(after, registry, tmp_path):
    state, source = str(registry.root.parent), str(tmp_path / "source")
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, state, source], stdout=subprocess.PIPE, text=True
    )
    with child:
        said = [child.stdout.readline().strip() for _ in range(after)]
        os.kill(child.pid, signal.SIGKILL)
    assert registry.damaged() == {}
    names = {adapter.name for adapter in registry.list()}
    assert names >= set(said)
    champion = registry.champion()
    assert champion is not None and champion.name in names
    shutil.rmtree(source)


@pytest.mark.parametrize("place", ["nobody/no-such-model", "."])
def test_a_base_model_that_is_not_there_says_what_to_do(place, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"'mine' cannot be read .*hf download"):
        Base.from_model("mine", place)
