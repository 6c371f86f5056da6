"""Fixtures: a mapped project that all share, and projects of a test's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from p2assist.config import Config
from p2assist.experience import Task
from p2assist.harness import impact
from p2assist.harness.impact import ImpactMap
from p2assist.harness.tester import SubprocessTester, WarmTester

from .helpers import SHOP, bare_python, make_task, settings, write


@pytest.fixture(scope="session", autouse=True)
def _environment_ends() -> Iterator[None]:
    yield
    if bare_python.cache_info().currsize:
        shutil.rmtree(bare_python().parents[1], ignore_errors=True)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, ImpactMap]:
    """A mapped project; nobody may change its files."""
    config = settings(write(tmp_path_factory.mktemp("project") / "repo", SHOP), timeout=10)
    known = impact.build(config)
    known.save(config)
    return config, known


@pytest.fixture(scope="session")
def plain_tester(shop: tuple[Config, ImpactMap]) -> SubprocessTester:
    return SubprocessTester(*shop)


@pytest.fixture(scope="session")
def warm_tester(shop: tuple[Config, ImpactMap]) -> Iterator[WarmTester]:
    with WarmTester(*shop) as tester:
        yield tester


@pytest.fixture(params=["subprocess", "warm"])
def shop_tester(
    request: pytest.FixtureRequest, plain_tester: SubprocessTester, warm_tester: WarmTester
) -> SubprocessTester | WarmTester:
    """Either tester: what is asked of one holds for the other."""
    return plain_tester if request.param == "subprocess" else warm_tester


@pytest.fixture(scope="session")
def shop_task(shop: tuple[Config, ImpactMap]) -> Callable[[str, str], Task]:
    config, known = shop
    return lambda path, span: make_task(config, known, path, span)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Config]:
    """Makes a project of the given files; settings of the harness by keyword."""

    def make(files: Mapping[str, str], **harness: float) -> Config:
        return settings(write(tmp_path / "repo", files), **harness)

    return make
