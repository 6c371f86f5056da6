"""What plain pytest says of a candidate: the reference that the harness has to meet.

A copy of the tree, the candidate's file written into it, `python -m pytest`, and a plugin of a
few lines that writes each outcome down (vectors.py). Nothing of p2assist's harness takes part. The
machine is kept from harm by util-linux where we are root: a process tree that is killed whole, and
everything but the copy mounted read-only.

Answers are kept by content (the package, the environment, the file's syntax tree, what was run), so
a second benchmark on the same candidates runs nothing.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.candidates import Case
from benchmarks.subjects import Subject, cache, python

# Seconds, less than what p2assist gives (HarnessConfig.timeout), and times the plain run. A test
# of boltons waits for a socket's 10 s: who gives less sees a timeout where pytest sees a failure.
TIMEOUT, SLOWER = 15.0, 5
_OF_SOME = 60.0  # seconds for covering tests alone: candidates of a suite with locks wait for ever
PATIENCE = 4  # times the limits, ours too, for what is asked once more
NO_PYTHON = "no Python"
_MEMORY = 4 << 30
_meanings: dict[str, str] = {}
_BOX = (
    'mount --bind "$1" "$1" && mount -o remount,ro,bind / && mount -t tmpfs tmpfs /dev/shm && '
    'cd "$2" && shift 2 && exec "$@"'
)


@dataclass(frozen=True, slots=True)
class Vector:
    """outcomes: by node id 'passed', 'failed' (the test's own body; skips too), 'error' (set-up,
    tear-down; a file's own name where it cannot be collected). unknown: 'timeout' or 'crashed'
    where the run did not come to its end, '' otherwise. hung: the test it ended in. What it had not
    reached is in neither."""

    outcomes: dict[str, str]
    unknown: str = ""
    hung: str = ""

    def of(self, node_id: str) -> str | None:
        """What plain pytest says of the test; None where it never got that far."""
        for name in (node_id, node_id.partition("::")[0]):  # a file that cannot be collected
            if name in self.outcomes:
                return self.outcomes[name]
        if self.unknown:
            return self.unknown if node_id == self.hung else None
        return "missing"  # the run is whole, and the test is not in it


@functools.cache
def template(subject: Subject) -> Path:
    """A tree with the compiled files that a plain run leaves; not the one the harness uses."""
    place = cache() / "plain" / subject.package.stem
    if not (place / ".ready").exists():
        shutil.rmtree(place, ignore_errors=True)
        with _scratch() as folder:
            tree = folder / subject.root.name
            ignored = shutil.ignore_patterns(".p2assist", "__pycache__", ".pytest_cache")
            shutil.copytree(subject.root, tree, symlinks=True, ignore=ignored)
            run(subject, tree, (), timeout=600, vector=None)
            shutil.copytree(tree, place, symlinks=True)
        (place / ".ready").touch()
    return place


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder outside every repository: pytest looks for settings in the folders above, too."""
    with tempfile.TemporaryDirectory(prefix="p2assist-plain-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        for inner in ("home", "tmp"):
            (folder / inner).mkdir()
        yield folder


def command(subject: Subject, tests: tuple[str, ...]) -> list[str]:
    """Plain pytest, on the whole suite or on some tests. Tracebacks are off, which makes the
    plain run faster where much fails, and so our speed-up smaller. One broken file does not
    silence the others."""
    chosen = tests or subject.tests
    fixed = ("-q", "--tb=no", "--continue-on-collection-errors")
    return [str(python()), "-m", "pytest", *fixed, *subject.options, *chosen]


def environment(place: Path, vector: Path | None = None) -> dict[str, str]:
    folders = [str(place), *([str(place / "src")] if (place / "src").is_dir() else [])]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
    env |= {"HOME": str(place.parent / "home"), "TMPDIR": str(place.parent / "tmp")}
    if vector:
        env |= {"VECTOR": str(vector), "PYTEST_PLUGINS": "vectors"}
        folders.append(str(Path(__file__).parent))
    return env | {"PYTHONPATH": os.pathsep.join(folders)}


@contextmanager
def copy(subject: Subject, path: str, content: str) -> Iterator[Path]:
    """A throw-away copy of the tree with one file replaced."""
    with _scratch() as folder:
        place = folder / subject.root.name
        shutil.copytree(template(subject), place, symlinks=True)
        (place / path).write_text(content)
        yield place


def boxed(place: Path, arguments: list[str]) -> list[str]:
    """The command where only the copy can be written; as it is, where we are not root."""
    if os.geteuid() or not shutil.which("unshare"):
        return arguments
    kept = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*kept, "sh", "-c", _BOX, "sh", str(place.parent), str(place), *arguments]


def run(
    subject: Subject, place: Path, tests: tuple[str, ...], *, timeout: float, vector: Path | None
) -> tuple[float, str]:
    """Seconds, and 'timeout' or ''."""
    arguments = boxed(place, command(subject, _arguments(place, tests)))
    start = time.perf_counter()
    process = subprocess.Popen(
        arguments,
        cwd=place,
        env=environment(place, vector),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY)),
    )
    try:
        process.wait(timeout)
        return time.perf_counter() - start, ""
    except subprocess.TimeoutExpired:
        return timeout, "timeout"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


@functools.cache
def overhead() -> float:
    """Seconds that the box around a plain run costs: no part of pytest's time."""
    taken = []
    with _scratch() as folder:
        for _ in range(7):
            start = time.perf_counter()
            arguments = boxed(folder / "tmp", ["/bin/true"])
            subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL)
            taken.append(time.perf_counter() - start)
    return min(taken)


def _arguments(place: Path, tests: tuple[str, ...]) -> tuple[str, ...]:
    """Many node ids go by a file, as pytest reads them."""
    if len(tests) < 100:
        return tests
    file = place.parent / "tests.txt"
    file.write_text("\n".join(tests))
    return (f"@{file}",)


def reference(case: Case) -> Vector:
    """The vector of the candidate, from what is kept or from a run. Raises nothing on account of
    the candidate."""
    file = _kept(case.subject, case.task.path, case.applied, scope(case))
    if not file.exists():
        _keep(file, _measure(case.subject, case.task.path, case.applied, scope(case)))
    told = json.loads(file.read_text())
    return Vector(told["outcomes"], told["unknown"], told["hung"])


def known(case: Case) -> bool:
    """Whether reference() would run nothing."""
    return _kept(case.subject, case.task.path, case.applied, scope(case)).exists()


def again(case: Case, tests: tuple[str, ...]) -> Vector:
    """A run of the tests, () for all, not kept, which is given more time: is the first one's word
    reliable? A machine with other work may have made a timeout of it."""
    return _measure(case.subject, case.task.path, case.applied, tests, patience=PATIENCE)


def scope(case: Case) -> tuple[str, ...]:
    """The node ids that its plain run is of; () for the whole suite. The same ones every time."""
    one_of = case.subject.whole
    if one_of and int(_digest(meaning(case.applied))[:8], 16) % one_of == 0:
        return ()
    return covering(case)


def covering(case: Case) -> tuple[str, ...]:
    return tuple(test.node_id for test in case.task.tests)


@functools.cache
def baseline(subject: Subject) -> Vector:
    """Three plain runs of the tree as it is; tests that do not say the same each time are out."""
    path = next(p for p in sorted(subject.root.rglob("*.py")))
    relative, content = path.relative_to(subject.root).as_posix(), path.read_text()
    file = _kept(subject, "", "", ())
    if not file.exists():
        runs = [_measure(subject, relative, content, ()) for _ in range(3)]
        first = runs[0].outcomes
        stable = {k: v for k, v in first.items() if all(r.outcomes.get(k) == v for r in runs)}
        _keep(file, Vector(stable))
    return Vector(json.loads(file.read_text())["outcomes"])


@functools.cache
def seconds(subject: Subject) -> float:
    """A plain run of the whole suite, now."""
    path = next(p for p in sorted(subject.root.rglob("*.py")))
    relative = path.relative_to(subject.root).as_posix()
    with copy(subject, relative, path.read_text()) as place:
        return run(subject, place, (), timeout=600, vector=None)[0]


def meaning(content: str) -> str:
    """A digest that is the same for files that mean the same; NO_PYTHON for what is none."""
    key = _digest(content)
    if key not in _meanings:
        _meanings[key] = _meaning(content)
    return _meanings[key]


def _meaning(content: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _digest(ast.dump(ast.parse(content)))
    except SyntaxError:
        return NO_PYTHON
    except (ValueError, RecursionError, MemoryError):
        return _digest(content)


def compiles(content: str) -> bool:
    """Whether the file can be imported at all: not everything that parses can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(content, "<candidate>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _measure(
    subject: Subject, path: str, content: str, scope: tuple[str, ...], *, patience: int = 1
) -> Vector:
    usual = _OF_SOME if scope else SLOWER * seconds(subject)
    timeout = patience * max(TIMEOUT, usual)
    with copy(subject, path, content) as place:
        file = place.parent / "vector"
        _, unknown = run(subject, place, scope, timeout=timeout, vector=file)
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    return _vector([json.loads(line) for line in lines if line.endswith("]")], unknown)


def _vector(said: list[list[object]], unknown: str) -> Vector:
    outcomes: dict[str, str] = {}
    broken: list[str] = []
    running, ended = "", False
    for kind, what, *rest in said:
        if kind == "start":
            running = str(what)
        elif kind == "collect":
            broken.append(str(what))
        elif kind == "finish":
            ended = what in (0, 1, 5)
        elif outcomes.get(str(what)) in ("failed", "error"):
            continue
        elif rest[0] == "failed":
            outcomes[str(what)] = "failed" if kind == "call" else "error"
        elif rest[0] == "skipped" or rest[1]:
            outcomes[str(what)] = "failed"
        elif kind == "teardown":
            outcomes.setdefault(str(what), "passed")
    outcomes |= dict.fromkeys(broken, "error")
    hung = running if running not in outcomes else ""
    stopped = said and (hung or not ended)
    return Vector(outcomes, unknown or ("crashed" if stopped else ""), hung)


@functools.cache
def _environment_key() -> str:
    asked = [str(python()), "-m", "pip", "--disable-pip-version-check", "freeze", "--all"]
    packages = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    version = subprocess.run([str(python()), "-VV"], capture_output=True, text=True, check=True)
    return hashlib.sha256(f"{packages}\0{version.stdout}".encode()).hexdigest()


def _kept(subject: Subject, path: str, content: str, scope: tuple[str, ...]) -> Path:
    parts = ("1", subject.package.digest, *subject.tests, *subject.options, _environment_key())
    text = "\0".join((*parts, path, meaning(content), *scope))
    return cache() / "vectors" / subject.name / f"{_digest(text)[:40]}.json"


def _keep(file: Path, vector: Vector) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {"outcomes": vector.outcomes, "unknown": vector.unknown, "hung": vector.hung}
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(told))
    fresh.replace(file)
