"""The project's own Python: where it is, and what it needs to be able to read.

p2assist is never installed there; the worker is standard-library code that it runs.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from p2assist.config import Config
from p2assist.errors import HarnessError
from p2assist.harness import sandbox
from p2assist.harness.sandbox import Box, Command

MODULES = ("pytest", "coverage", "xdist", "pytest_cov", "pytest_randomly")
_PROBE = (
    f"MODULES = {MODULES!r}"
    """
import importlib.util, json, sys
import os
found = [n for n in MODULES if importlib.util.find_spec(n)]
versions = {}
if "pytest" in found:
    import pytest
    versions["pytest"] = pytest.__version__
if "coverage" in found:
    import coverage
    versions["coverage"] = coverage.__version__
said = json.dumps(
    [list(sys.version_info[:3]), found, versions, sys.path, sys.base_prefix, sys.executable]
)
os.write(int(sys.stdin.read()), said.encode())
"""
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can import pytest.

    python: its absolute path, links unresolved (a virtual environment is known by it). version:
    (major, minor, micro). modules: those of MODULES that it can import. read: the folders outside
    the system's that it must be able to read.
    """

    python: Path
    version: tuple[int, int, int]
    modules: frozenset[str]
    pytest: str
    coverage: str
    read: tuple[str, ...]


def find_python(config: Config) -> Path:
    """The interpreter of the project's tests: the user's setting, else the repository's .venv or
    venv, else the active environment unless that is p2assist's own, else python3 on PATH, else
    p2assist's own.

    Raises HarnessError where it does not exist or cannot import pytest.
    """
    return find(config).python


def find(config: Config) -> Interpreter:
    """find_python with what was learnt of it; each interpreter is asked once per process."""
    candidates = _candidates(config)
    found = next((path for path in candidates if _runs(path)), None)
    if found is None:
        raise HarnessError(
            f"{candidates[0]} is no Python interpreter: give the project's with --python"
        )
    return examine(found, config.root, config.user.isolation)


def _candidates(config: Config) -> list[Path]:
    if config.user.python:
        given = Path(config.user.python).expanduser()
        named = shutil.which(config.user.python)
        return [Path(named) if named else (config.root / given).absolute()]
    found = [config.root / name / "bin" / "python" for name in (".venv", "venv")]
    active = os.environ.get("VIRTUAL_ENV")
    if active and Path(active).resolve() != Path(sys.prefix).resolve():
        found.append(Path(active) / "bin" / "python")
    on_path = _on_path()
    return [*found, *([on_path] if on_path else []), Path(sys.executable)]


def _on_path() -> Path | None:
    """python3 of PATH, p2assist's own environment left out."""
    own = Path(sys.prefix).resolve() / "bin"
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    others = [folder for folder in folders if folder and Path(folder).resolve() != own]
    found = shutil.which("python3", path=os.pathsep.join(others))
    return Path(found) if found else None


def _runs(python: Path) -> bool:
    return python.is_file() and os.access(python, os.X_OK)


@functools.cache
def examine(python: Path, root: Path, isolation: str = "auto") -> Interpreter:
    """What the interpreter is. One inside the repository came with it and is not trusted: it
    runs in the sandbox, and what it asks to read is not granted.

    Raises HarnessError where it cannot import pytest.
    """
    trusted = not python.is_relative_to(root)
    prefixes = _prefixes(python, root)
    said = _ask_outside(python) if trusted else _ask_inside(python, root, prefixes, isolation)
    try:
        version, modules, versions, path, base, executable = json.loads(said)
    except ValueError as error:
        raise HarnessError(f"{python} does not run: give the project's with --python") from error
    if "pytest" not in modules:
        raise HarnessError(
            f"{python} cannot import pytest: `{python} -m pip install pytest`, "
            "or give the interpreter of the project's tests with --python"
        )
    if trusted and Path(executable).resolve() != python.resolve():  # a shim that starts another
        python = Path(executable)
        prefixes = _prefixes(python, root)
    read = {*prefixes, *([base, *path] if trusted else [])}
    return Interpreter(
        python=python,
        version=tuple(version),
        modules=frozenset(modules),
        pytest=versions.get("pytest", ""),
        coverage=versions.get("coverage", ""),
        read=tuple(sorted(p for p in read if _may_be_read(p))),
    )


def _prefixes(python: Path, root: Path) -> list[str]:
    """The installation folder at each hop of the chain of links, from the outside in."""
    hops = [python]
    while hops[-1].is_symlink() and len(hops) < 16:
        hops.append(Path(os.path.normpath(hops[-1].parent / hops[-1].readlink())))
    hops.append(python.resolve())
    named = (hop.parent.parent for hop in hops)
    prefixes = dict.fromkeys(path for prefix in named for path in (prefix, prefix.resolve()))
    return [str(p) for p in prefixes if p.resolve().is_relative_to(root) or _is_installation(p)]


def _is_installation(prefix: Path) -> bool:
    """Whether a Python or a virtual environment is installed there. A repository could bring a
    link to anything: nothing else is opened to it."""
    installed = (prefix / "pyvenv.cfg").is_file() or any(prefix.glob("lib*/python3*/os.py"))
    return installed and _may_be_read(str(prefix.resolve()))


def _may_be_read(path: str) -> bool:
    """Not the home folder, not what holds it, not the root, and nothing relative."""
    if not Path(path).is_absolute() or not Path(path).exists():
        return False
    home = Path.home()
    return not home.is_relative_to(path) and not home.resolve().is_relative_to(path)


def _ask_outside(python: Path) -> str:
    read, write = os.pipe()
    try:
        done = subprocess.run(
            [str(python), "-c", _PROBE],
            input=str(write).encode(),
            cwd="/",
            env={"PATH": os.defpath, "HOME": str(Path.home())},
            pass_fds=[write],
            capture_output=True,
            timeout=120,
            check=False,
        )
        os.close(write)
        write = -1
        with os.fdopen(read, "rb", closefd=False) as pipe:
            said = pipe.read().decode("utf-8", "replace")
        if said:
            return said
        raise HarnessError(
            f"{python} does not run: {done.stderr.decode('utf-8', 'replace').strip()[-300:]}"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HarnessError(f"{python} does not run: {error}") from error
    finally:
        os.close(read)
        if write >= 0:
            os.close(write)


def _ask_inside(python: Path, root: Path, prefixes: list[str], isolation: str) -> str:
    said: list[bytes] = []
    box = Box(isolation=sandbox.detect(isolation), root=root, read=tuple(prefixes))
    place = box.place()
    command = Command(
        argv=(str(python), "-c", _PROBE),
        env={"PATH": os.defpath, "HOME": place.home},
        place=place,
        request=lambda handle: str(handle).encode(),
        output=True,
    )
    ending = sandbox.run(box, command, receive=said.append)
    if not said:
        words = ending.words or ending.output.strip()[-300:]
        raise HarnessError(f"{python} does not run: {words}. Give the project's with --python")
    return said[0].decode("utf-8", "replace")
