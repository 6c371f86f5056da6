from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from p2assist.config import Config, TeamConfig
from p2assist.errors import RepositoryError
from p2assist.experience import CoveringTest, SpanKind
from p2assist.tasks.mining import mine, sources

CODE = '''\
def add(a, b):
    """Adds."""
    result = a + b
    return result

def untested(a, b):
    return a.value - b.value

def wide(items):
    for item in items:
        if item.ready:
            print(item.name, item.value)
    return len(items)
'''


@dataclass
class Lines:
    """Coverage by hand: path -> line -> number of tests."""

    table: dict[str, dict[int, int]]

    @property
    def paths(self) -> Sequence[str]:
        return list(self.table)

    @property
    def test_files(self) -> Sequence[str]:
        return ["tests/test_a.py"]

    def covering(self, path: str, first_line: int, last_line: int) -> tuple[CoveringTest, ...]:
        most = max(self.table[path].get(n, 0) for n in range(first_line, last_line + 1))
        return tuple(CoveringTest(f"test_{i}") for i in range(most))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text(CODE)
    (tmp_path / "b.py").write_text("def other(x):\n    return x.something + 1\n")
    return Config(root=tmp_path)


@pytest.fixture
def impact() -> Lines:
    covered = dict.fromkeys([3, 4], 2) | dict.fromkeys([10, 11, 12, 13], 500)
    return Lines(
        {"pkg/a.py": covered, "b.py": {2: 1}, "tests/test_a.py": {1: 1}, "conftest.py": {1: 1}}
    )


def test_only_covered_spans_with_few_enough_tests(config: Config, impact: Lines) -> None:
    names = {task.function for task in mine(config, impact)}
    assert names == {"add", "other"}
    many = replace(config.team, harness=replace(config.team.harness, max_tests=1000))
    wider = Config(root=config.root, team=many)
    assert "wide" in {task.function for task in mine(wider, impact)}


def test_tasks_carry_what_they_need(config: Config, impact: Lines) -> None:
    task = next(t for t in mine(config, impact, commit="c0ffee") if t.function == "add")
    assert task.apply(task.reference) == CODE
    assert task.description == "Adds."
    assert task.commit == "c0ffee"
    assert len(task.tests) == 2


def test_order_is_fixed_by_the_seed_and_has_no_repetition(config: Config, impact: Lines) -> None:
    first = [task.key for task in mine(config, impact, seed=3)]
    assert first == [task.key for task in mine(config, impact, seed=3)]
    assert first != [task.key for task in mine(config, impact, seed=4)]
    assert max(Counter(first).values()) == 1


def test_functions_take_turns(config: Config, impact: Lines) -> None:
    names = [task.function for task in mine(config, impact)]
    assert set(names[:2]) == {"add", "other"}


def test_mix_leaves_kinds_out(config: Config, impact: Lines) -> None:
    kinds = {task.kind for task in mine(config, impact, mix={SpanKind.BODY: 1.0})}
    assert kinds == {SpanKind.BODY}


def test_globs_of_settings_and_command(config: Config, impact: Lines) -> None:
    team = TeamConfig(paths=("pkg/**",))
    assert [p for p, _ in sources(Config(root=config.root, team=team), impact)] == ["pkg/a.py"]
    assert [p for p, _ in sources(config, impact, paths=["*.py"])] == ["b.py", "pkg/a.py"]
    assert [p for p, _ in sources(config, impact, paths=["/b.py"])] == ["b.py"]
    barred = TeamConfig(exclude=("pkg/",))
    assert [p for p, _ in sources(Config(root=config.root, team=barred), impact)] == ["b.py"]


def test_a_broken_file_is_named(config: Config, impact: Lines) -> None:
    (config.root / "b.py").write_text("def other(:\n")
    with pytest.raises(RepositoryError, match=r"b\.py:1"):
        list(mine(config, impact))
    (config.root / "b.py").unlink()
    with pytest.raises(RepositoryError, match=r"b\.py cannot be read"):
        list(mine(config, impact))
