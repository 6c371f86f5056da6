"""The commands as a user runs them, on a copy of the quickstart, with the embedded model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the quickstart that has been through init."""
    root = tmp_path_factory.mktemp("home") / "shop"
    shutil.copytree(
        EXAMPLES / "quickstart", root, ignore=shutil.ignore_patterns(".*", "__pycache__")
    )
    done = command("init", root=root)
    assert done.returncode == 0, done.stderr
    return root


def command(
    *arguments: str, root: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "p2assist.cli", *arguments, "--repo", str(root)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**environment(root), **(env or {})},
        check=False,
    )


def environment(root: Path) -> dict[str, str]:
    """Without the settings of whoever runs the tests; with this interpreter for the project."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith("P2ASSIST_")}
    return mine | {
        "P2ASSIST_RUNTIME": os.environ["P2ASSIST_RUNTIME"],
        "P2ASSIST_CONFIG": str(root.parent / "config.toml"),
        "P2ASSIST_PYTHON": sys.executable,
        "COLUMNS": "120",
    }


def served(*arguments: str) -> Any:
    """What `p2assist serve` says."""
    done = subprocess.run(
        [sys.executable, "-m", "p2assist.cli", "serve", *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def value(*arguments: str, root: Path) -> object:
    done = command(*arguments, "--json", root=root)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_init_writes_settings_once_and_never_over_a_persons(shop: Path) -> None:
    before = (shop / "pyproject.toml").read_text()
    assert "[tool.p2assist]" in before
    assert 'testpaths = ["tests"]' in before
    assert (shop / ".gitignore").read_text() == ".p2assist/\n"
    changed = before.replace('model = "pocket"', 'model = "pocket"  # ours')
    assert changed != before
    (shop / "pyproject.toml").write_text(changed)
    assert command("init", root=shop).returncode == 0
    assert (shop / "pyproject.toml").read_text() == changed


def test_init_again_takes_a_change_that_was_meant_to_break_tests(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    ignored = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(EXAMPLES / "quickstart", root, ignore=ignored)
    made: Any = value("init", root=root)
    assert not made["quarantined"]
    text = root / "basket" / "text.py"
    text.write_text(text.read_text().replace('cents % 100:02d}"', 'cents % 100:02d} EUR"'))
    green = root / ".p2assist" / "green"
    kept: Any = value("init", root=root)
    assert (kept["passing"], kept["quarantined"]) == (made["passing"], {})
    before = {file.name for file in green.iterdir()}
    again: Any = value("init", "--again", root=root)
    assert again["passing"] < made["passing"]
    assert all("failed at baseline" in why for why in again["quarantined"].values())
    assert len(again["quarantined"]) == made["passing"] - again["passing"]
    assert not before <= {file.name for file in green.iterdir()}  # nothing of the older tree


def test_complete_with_tests_ranks_and_names_the_evidence(shop: Path) -> None:
    rows = value("complete", "basket/pricing.py:8", "--test", root=shop)
    assert isinstance(rows, list)
    assert 1 < len(rows) <= 8
    assert len({row["text"] for row in rows}) == len(rows)
    values = [row["p2value"] for row in rows]
    assert values == sorted(values, reverse=True)
    for row in rows:
        assert 0 < row["possibility"] <= 1
        assert "covering tests pass" in row["evidence"]
    shown = command("complete", "basket/pricing.py:8", "--test", root=shop)
    assert "P2Value" in shown.stdout


def test_complete_without_tests_says_so(shop: Path) -> None:
    rows = value("complete", "basket/text.py:10:12", "--beams", "3", root=shop)
    assert isinstance(rows, list)
    assert {row["evidence"] for row in rows} == {"not tested"}
    assert {row["pass_rate"] for row in rows} == {None}


def test_completions_share_one_model_process(shop: Path) -> None:
    assert command("complete", "basket/text.py:10:12", root=shop).returncode == 0
    first = served("--status")
    assert command("complete", "basket/text.py:10:12", root=shop).returncode == 0
    second = served("--status")
    assert first["running"]
    assert second["pid"] == first["pid"]
    assert [m["model"] for m in second["models"]] == ["pocket"]
    assert f"pid {first['pid']}" in str(value("status", root=shop))
    assert served("--stop") == {"stopped": True}
    assert served("--status") == {"running": False}
    assert served("--stop") == {"stopped": False}


def test_without_the_process_the_model_is_loaded_here(shop: Path) -> None:
    config = shop.parent / "alone.toml"
    config.write_text("[serve]\nenabled = false\n")
    done = command(
        "complete", "basket/text.py:10:12", root=shop, env={"P2ASSIST_CONFIG": str(config)}
    )
    assert done.returncode == 0
    assert served("--status") == {"running": False}


def test_practice_keeps_experience_and_goes_on(shop: Path) -> None:
    first = value("practice", "--tasks", "3", root=shop)
    second = value("practice", "--tasks", "2", root=shop)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["tasks"] + first["unusable"] == 3
    assert second["tasks"] + second["unusable"] == 2
    stats = value("replay", "stats", root=shop)
    assert isinstance(stats, dict)
    assert stats["tasks"] == first["tasks"] + second["tasks"]
    rows = value("replay", "ls", "--limit", "100", root=shop)
    assert isinstance(rows, list)
    key = rows[0]["key"]
    assert command("replay", "show", key[:12], root=shop).returncode == 0
    exported = command("replay", "export", root=shop).stdout.splitlines()
    assert len(exported) == len(rows)
    # The references are stored beside the candidates, and they pass.
    passing = [json.loads(line) for line in exported]
    assert sum(row["source"] == "reference" for row in passing) == stats["tasks"]


def test_practice_killed_loses_nothing(shop: Path) -> None:
    counted = value("replay", "stats", root=shop)
    run = subprocess.Popen(
        [sys.executable, "-m", "p2assist.cli", "practice", "--tasks", "40", "--repo", str(shop)],
        env=environment(shop),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while value("replay", "stats", root=shop) == counted and time.monotonic() < deadline:
        time.sleep(0.5)
    run.send_signal(signal.SIGKILL)
    run.wait()
    after = value("replay", "stats", root=shop)
    assert isinstance(after, dict)
    assert isinstance(counted, dict)
    assert after["tasks"] > counted["tasks"]
    more = value("practice", "--tasks", "1", root=shop)
    assert isinstance(more, dict)
    assert more["tasks"] + more["unusable"] == 1


def test_interrupt_stops_cleanly(shop: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "p2assist.cli", "practice", "--repo", str(shop)],
        env=environment(shop),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    before = value("replay", "stats", root=shop)
    deadline = time.monotonic() + 200
    while value("replay", "stats", root=shop) == before and time.monotonic() < deadline:
        time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=100)
    assert run.returncode == 130
    assert "stopped" in err
    assert "Traceback" not in err


def test_status_doctor_and_adapters(shop: Path) -> None:
    status = value("status", root=shop)
    assert isinstance(status, dict)
    assert status["model"] == "pocket"
    checks = value("doctor", root=shop)
    assert isinstance(checks, list)
    assert {check["ok"] for check in checks} == {True}
    assert value("adapters", "ls", root=shop) == []
    refused = command("adapters", "rollback", root=shop)
    assert refused.returncode == 1
    assert "nothing to go back to" in refused.stderr


def broken(root: Path, case: str) -> list[str]:
    """Breaks the repository; gives the command that meets it."""
    if case == "no tests":
        shutil.rmtree(root / "tests")
    elif case == "syntax":
        (root / "basket" / "items.py").write_text("def broken(:\n")
    elif case == "failing":
        for file in (root / "tests").glob("test_*.py"):
            file.write_text("def test_it():\n    assert False\n")
    elif case == "setting":
        (root / "pyproject.toml").write_text("[tool.p2assist]\nbeems = 3\n")
    elif case == "user only":
        (root / "pyproject.toml").write_text('[tool.p2assist]\nisolation = "none"\n')
    elif case == "store":
        (root / ".p2assist").mkdir(exist_ok=True)
        (root / ".p2assist" / "replay.db").write_bytes(b"no database at all" * 100)
        return ["replay", "stats"]
    elif case == "model":
        return ["complete", "basket/pricing.py:8", "--model", "/no/such/model"]
    elif case == "repository's model":
        (root / "pyproject.toml").write_text('[tool.p2assist]\nmodel = "evil/model"\n')
        return ["complete", "basket/pricing.py:8"]
    elif case == "place":
        return ["complete", "basket/pricing.py:8000"]
    elif case == "adapter":
        return ["complete", "basket/pricing.py:8", "--adapter", "2020-01-01-abcdef"]
    elif case == "too little":
        return ["refresh"]
    return ["init"]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no tests", "no tests"),
        ("syntax", "basket/items.py"),
        ("failing", "pass"),
        ("setting", "beems"),
        ("user only", "isolation"),
        ("store", "replay.db"),
        ("model", "/no/such/model"),
        ("repository's model", "evil/model"),
        ("place", "lines"),
        ("adapter", "adapters ls"),
        ("too little", "practice"),
    ],
)
def test_bad_input_is_named_and_exits_1(tmp_path: Path, case: str, words: str) -> None:
    root = tmp_path / "shop"
    shutil.copytree(
        EXAMPLES / "quickstart", root, ignore=shutil.ignore_patterns(".*", "__pycache__")
    )
    done = command(*broken(root, case), root=root)
    assert done.returncode == 1, done.stdout + done.stderr
    assert words in done.stderr
    assert done.stderr.startswith("error:") or "\nerror:" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_has_help_with_an_example() -> None:
    commands: Iterator[list[str]] = iter(
        [
            *([name] for name in ("init", "complete", "practice", "refresh", "evaluate")),
            *([name] for name in ("status", "doctor")),
            *(["replay", name] for name in ("ls", "show", "stats", "export")),
            *(["adapters", name] for name in ("ls", "show", "promote", "rollback")),
        ]
    )
    from typer.testing import CliRunner

    from p2assist.cli import app

    for words in commands:
        shown = CliRunner().invoke(app, [*words, "--help"])
        assert shown.exit_code == 0
        assert "Example: p2assist" in shown.output, words
        assert "--repo" in shown.output


def test_the_prompt_can_be_shown(shop: Path) -> None:
    found = value("complete", "basket/pricing.py:8", "--show-prompt", root=shop)
    assert isinstance(found, dict)
    sections = found["sections"]
    assert found["tokens"] == sum(section["tokens"] for section in sections)
    [prefix] = [section for section in sections if section["kind"] == "prefix"]
    assert prefix["path"] == "basket/pricing.py"
    assert prefix["text"].endswith("for item, count in basket:\n       ")
    shown = command("complete", "basket/pricing.py:8", "--show-prompt", root=shop)
    assert "for item, count in basket:" in shown.stdout and "tokens" in shown.stdout
    assert "item.price" not in shown.stdout  # what stands there is not in the prompt


def test_a_file_that_is_not_there_cannot_be_open(shop: Path) -> None:
    refused = command("complete", "basket/pricing.py:8", "--open", "basket/none.py", root=shop)
    assert refused.returncode == 1 and "there is no file" in refused.stderr
