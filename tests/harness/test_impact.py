from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from p2assist.config import Config
from p2assist.errors import BaselineError, HarnessError
from p2assist.experience import Outcome
from p2assist.harness import impact, mapping, rounds, tree
from p2assist.harness.impact import ImpactMap
from p2assist.harness.tester import SubprocessTester

from .helpers import make_task, write

Project = Callable[..., Config]


def ids(known: ImpactMap, path: str, first: int, last: int | None = None) -> list[str]:
    tests = known.covering(path, first, last or first)
    return [test.node_id.partition("::")[2] for test in tests]


def test_a_line_has_the_tests_that_run_it(shop: tuple[Config, ImpactMap]) -> None:
    known = shop[1]
    totals = ["test_total[two]", "test_total[none]", "test_total[one]"]
    others = ["TestCase::test_sum", "TestClass::test_big"]
    assert ids(known, "shop/prices.py", 6) == totals + others
    assert ids(known, "shop/prices.py", 11) == ["test_negative"]
    assert ids(known, "shop/prices.py", 12) == ["test_label"]
    assert ids(known, "shop/prices.py", 10, 12) == ["test_label", "test_negative"]
    assert ids(known, "shop/prices.py", 16) == []
    assert ids(known, "shop/prices.py", 99) == ids(known, "not/there.py", 1) == []


def test_what_runs_at_import_is_of_every_test(shop: tuple[Config, ImpactMap]) -> None:
    known = shop[1]
    everyone = [test.node_id for test in known.passing]
    assert [test.node_id for test in known.covering("shop/prices.py", 1, 1)] == everyone
    assert len(everyone) == len(known.tests) == 10


def test_the_map_says_what_it_covers(shop: tuple[Config, ImpactMap]) -> None:
    known = shop[1]
    assert {"shop/odd.py", "shop/prices.py", "tests/test_odd.py"} <= set(known.paths)
    assert known.test_files == ("tests/test_odd.py", "tests/test_prices.py")
    assert known.failing == known.unstable == ()
    assert all(len(test.digest) == 64 and test.seconds > 0 for test in known.tests)


def test_a_shared_fixture_is_of_all_who_use_it(project: Project) -> None:
    config = project(
        {
            "lib.py": """
                import functools

                def opened():
                    return [1]

                def closed():
                    return 2

                @functools.cache
                def late():
                    return 3
                """,
            "conftest.py": """
                import pytest, lib

                @pytest.fixture(scope="session")
                def base():
                    yield lib.opened()
                    lib.closed()

                @pytest.fixture(scope="module")
                def above(base):
                    return base + base
                """,
            "test_it.py": """
                import pytest

                def test_one(above):
                    assert above == [1, 1]

                def test_two(above):
                    assert above

                def test_three(request):
                    assert request.getfixturevalue("base") == [1]

                def test_none():
                    import later
                    assert later.x()
                """,
            "later.py": "def x():\n    return 1\nY = 2\n",
        }
    )
    known = impact.build(config)
    assert ids(known, "lib.py", 4)[:2] == ["test_one", "test_two"]
    assert ids(known, "later.py", 2) == ["test_none"]
    assert ids(known, "later.py", 3) == ["test_one", "test_two", "test_three", "test_none"]


def test_every_line_of_a_statement_has_its_tests(project: Project) -> None:
    config = project(
        {
            "lib.py": """
                def f(a,
                      b):
                    x = [
                        a,

                        b,
                    ]
                    if (
                        a
                        and b
                    ):
                        return x
                    return (
                        None
                    )
                """,
            "test_it.py": "import lib\ndef test_f():\n    assert lib.f(1, 2)\n"
            "def test_g():\n    assert lib.f(0, 2) is None\n",
        }
    )
    known = impact.build(config)
    assert all(ids(known, "lib.py", line) == ["test_f", "test_g"] for line in range(3, 12))
    assert ids(known, "lib.py", 12) == ["test_f"]
    assert all(ids(known, "lib.py", line) == ["test_g"] for line in (13, 14, 15))


def test_unstable_and_failing_tests_are_left_out_with_the_reason(project: Project) -> None:
    config = project(
        {
            "lib.py": "seen = []\ndef f():\n    return 1\n",
            "test_it.py": """
                import sys
                import pytest
                import lib

                def test_good():
                    assert lib.f()

                def test_first():
                    lib.seen.append(lib.f())

                def test_after_first():
                    assert lib.seen and lib.f()

                def test_untraced():
                    assert lib.f() and sys.gettrace() is None

                def test_bad():
                    raise RuntimeError("never worked")

                @pytest.mark.skip
                def test_skipped():
                    lib.f()

                @pytest.mark.xfail
                def test_expected():
                    assert lib.f() == 2

                @pytest.mark.xfail
                def test_surprise():
                    assert lib.f() == 1
                """,
        }
    )
    known = impact.build(config)
    assert ids(known, "lib.py", 3) == ["test_good", "test_first"]
    names = {t.node_id.partition("::")[2]: t for t in known.tests}
    assert names["test_after_first"].unstable == "passed in order, failed in reverse"
    assert names["test_untraced"].unstable == "passed in order, failed alone under coverage"
    assert [(t.node_id, t.message) for t in known.failing] == [
        ("test_it.py::test_bad", "RuntimeError: never worked")
    ]
    left = {name for name, test in names.items() if test.skipped}
    assert left == {"test_skipped", "test_expected", "test_surprise"}


def test_the_source_may_be_below_src_and_tests_inside_packages(project: Project) -> None:
    config = project(
        {
            "src/pack/__init__.py": "",
            "src/pack/core.py": "def f():\n    return 1\n",
            "src/pack/tests/__init__.py": "",
            "src/pack/tests/test_core.py": "from pack.core import f\ndef test_f(): assert f()\n",
        }
    )
    known = impact.build(config)
    known.save(config)
    assert ids(known, "src/pack/core.py", 2) == ["test_f"]
    tester = SubprocessTester(config, known)
    task = make_task(config, known, "src/pack/core.py", "return 1")
    assert tester.test(task, "return 2").passes_all
    assert not tester.test(task, "return 0").passed


def test_doctests_are_tests_where_the_project_asks_for_them(project: Project) -> None:
    config = project(
        {
            "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--doctest-modules"\n',
            "lib.py": 'def f():\n    """\n    >>> f()\n    1\n    """\n    return 1\n',
        }
    )
    known = impact.build(config)
    assert [test.node_id for test in known.covering("lib.py", 6, 6)] == ["lib.py::lib.f"]
    tester = SubprocessTester(config, known)
    task = make_task(config, known, "lib.py", "return 1")
    assert tester.test(task, "return 1 + 0").passes_all
    assert tester.test(task, "return 2").outcomes[0].outcome is Outcome.FAILED


ADDOPTS = '[tool.pytest.ini_options]\naddopts = "{}"\nrequired_plugins = []\n'
GOOD = {"lib.py": "def f():\n    return 1\n", "test_it.py": "import lib\ndef test_f(): lib.f()\n"}


@pytest.mark.parametrize(
    ("addopts", "options"),
    [
        ("--cov=lib --cov-report term-missing --cov-fail-under=100 --no-cov-on-fail", ()),
        ("-ra --strict-markers --benchmark-skip", ("-o", "addopts=")),
    ],
)
def test_options_of_plugins_that_are_not_there_do_no_harm(
    project: Project, addopts: str, options: tuple[str, ...]
) -> None:
    config = project({**GOOD, "pyproject.toml": ADDOPTS.format(addopts)})
    known = impact.build(config)
    assert known.options == options
    assert ids(known, "lib.py", 2) == ["test_f"]
    tester = SubprocessTester(config, known)
    assert tester.test(make_task(config, known, "lib.py", "return 1"), "return 2").passes_all


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"lib.py": "x = 1\n"}, r"no tests found in .*`tests`"),
        ({"test_it.py": "import lib\n", "lib.py": "x = 1\ny = (\n"}, r"lib\.py, line 2: '\('"),
        ({"test_it.py": "import nothing_like_it\n"}, r"test_it\.py: .*No module named"),
        ({"test_it.py": "def test_f(): assert 0, 'why'\n"}, r"none of the 1 tests.*why"),
        ({"test_it.py": "import os\nos._exit(0)\n"}, r"pytest cannot start"),
        (
            {**GOOD, "pytest.ini": "[pytest]\nrequired_plugins = pytest-nowhere\n"},
            r"pytest cannot start.*pytest-nowhere",
        ),
        ({**GOOD, "conftest.py": "raise RuntimeError('no')\n"}, r"pytest cannot start.*no"),
    ],
)
def test_a_suite_without_a_baseline_is_told_why(
    project: Project, files: dict[str, str], words: str
) -> None:
    with pytest.raises(BaselineError, match=words):
        impact.build(project(files))


def test_what_cannot_be_collected_is_told_and_the_rest_is_used(project: Project) -> None:
    known = impact.build(project({**GOOD, "test_broken.py": "import nothing_like_it\n"}))
    assert ids(known, "lib.py", 2) == ["test_f"]
    assert "No module named 'nothing_like_it'" in known.uncollected["test_broken.py"]


def test_a_test_that_ends_the_process_is_named_as_the_cause(project: Project) -> None:
    config = project({**GOOD, "test_z.py": "import os\ndef test_z(): os._exit(0)\n"})
    with pytest.raises(BaselineError, match=r"exit\) at test_z\.py::test_z.*--deselect"):
        impact.build(config)


def test_a_coverage_package_for_another_python_is_told(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"coverage/__init__.py": "raise SyntaxError('made for another Python')\n"})
    monkeypatch.setattr(rounds, "lent_coverage", lambda: str(tmp_path / "coverage"))
    with pytest.raises(HarnessError, match=r"another Python.*-m pip install coverage"):
        impact.build(project(GOOD))


def test_progress_goes_from_nothing_to_all(project: Project) -> None:
    told: list[tuple[str, float]] = []
    impact.build(project(GOOD), progress=lambda text, share: told.append((text, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert len({text for text, _ in told}) == 5


def test_a_kept_map_is_the_same_when_loaded(shop: tuple[Config, ImpactMap]) -> None:
    config, known = shop
    assert impact.load(config) == known
    assert known.fresh(config.root)


def test_a_damaged_map_is_made_anew_and_a_change_is_seen(
    shop: tuple[Config, ImpactMap], project: Project
) -> None:
    config = project(GOOD)
    assert impact.load(config) is None
    known = replace(shop[1], files=tree.digests(config.root))
    known.save(config)
    file = config.state / mapping.FILE
    whole = file.read_bytes()
    for damaged in (whole[:-40], b"", b"[]", b'{"version": 2}', b'{"version": 99}'):
        file.write_bytes(damaged)
        assert impact.load(config) is None
    file.write_bytes(whole)
    assert impact.load(config) == known
    assert known.fresh(config.root)
    (config.root / "new.py").write_text("")
    assert not known.fresh(config.root)


def test_saving_is_whole_or_not_at_all(shop: tuple[Config, ImpactMap], project: Project) -> None:
    config = project(GOOD)
    (config.root / ".p2assist").write_text("a file, not a folder")
    with pytest.raises(HarnessError, match="cannot be kept"):
        shop[1].save(config)


def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state" / "file"
    mapping.write_atomically(file, b"old")

    def full(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        mapping.write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert [f.name for f in file.parent.iterdir()] == ["file"]


def test_nothing_of_a_run_reaches_the_repository(project: Project) -> None:
    config = project({**GOOD, "test_w.py": "def test_w(): open('written', 'w').write('x')\n"})
    before = sorted(p.name for p in config.root.iterdir())
    impact.build(config)
    assert sorted(p.name for p in config.root.iterdir()) == sorted([*before, ".p2assist"])
    assert sorted(p.name for p in config.state.iterdir()) == [mapping.COMPILED, "green"]


def test_the_saved_form_is_plain_json(shop: tuple[Config, ImpactMap]) -> None:
    told = json.loads((shop[0].state / mapping.FILE).read_text())
    assert told["version"] == 2
    assert told["tests"][0]["outcome"] == "passed"
