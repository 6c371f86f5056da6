"""The project's tests, and one run of them, or of some of them, in the sandbox."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2assist.config import STATE, Config
from p2assist.errors import HarnessError
from p2assist.harness import interpreter, sandbox, tree
from p2assist.harness.hidden import hidden
from p2assist.harness.interpreter import Interpreter
from p2assist.harness.outcomes import OnTest, Transcript
from p2assist.harness.sandbox import Box, Command, Ending, Files, Place, Stop

_FIXED = (
    *("-p", "no:cacheprovider", "--tb=native", "-q", "--no-header", "--no-summary"),
    *("--continue-on-collection-errors", "--maxfail=0"),
)
PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to run. tests: node ids, None for all that are found; unwanted: node ids that are
    collected and not run; paths: what pytest is given, () for what the project's settings say.
    files, stale, compiled: see sandbox.Command. order: '' as collected, 'reverse', worker.AS_WANTED
    for that of `tests`, or any other word, the seed of a shuffle. hash_seed: of Python's hashes.
    alone_seconds: under coverage, how long tests may run each in a process of its own. timeout,
    cpu: seconds. options: further arguments of pytest."""

    tests: Sequence[str] | None = None
    unwanted: Sequence[str] = ()
    paths: Sequence[str] = ()
    files: Files = ()
    stale: Sequence[str] = ()
    compiled: str = ""
    order: str = ""
    hash_seed: int = 0
    alone_seconds: float = 0.0
    coverage: str | None = None  # a folder of the package to lend; '' to use the project's own
    keep_compiled: bool = False
    options: Sequence[str] = ()
    timeout: float = 60.0
    cpu: int = 60


@dataclass(frozen=True, slots=True)
class Suite:
    """The project's tests with the interpreter that runs them and the box it runs in."""

    config: Config
    interpreter: Interpreter
    box: Box
    omitted: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config) -> Suite:
        """Raises IsolationError where nothing isolates, HarnessError where nothing can run."""
        isolation = sandbox.detect(config.user.isolation)
        _refuse_home(config.root)
        python = interpreter.find(config)
        box = Box(
            isolation=isolation,
            root=config.root,
            read=python.read,
            hidden=hidden(config.root),
            memory_mb=config.team.harness.memory_mb,
        )
        omitted = (*tree.environments(config.root), "*/site-packages", STATE)
        return cls(config, python, box, omitted)

    def run(
        self,
        run: Run,
        *,
        on_test: OnTest = lambda done, total: None,
        on_end: Callable[[Transcript, str], None] = lambda transcript, node_id: None,
        stop: Stop | None = None,
    ) -> tuple[Transcript, Ending]:
        """What the worker reported, and how its process ended.

        on_test, on_end: see Transcript; called while the run goes on. Raises HarnessError where the
        sandbox cannot be set up.
        """
        nonce = secrets.token_hex(16)
        transcript = Transcript(nonce, on_test, lambda node_id: on_end(transcript, node_id))
        place = self.box.place()
        lent = (run.coverage,) if run.coverage else ()
        box = dataclasses.replace(self.box, read=(*self.box.read, *lent))
        command = Command(
            argv=(str(self.interpreter.python), "-c", _source("worker")),
            env=self.environment(place, keep_compiled=run.keep_compiled, hash_seed=run.hash_seed),
            place=place,
            request=lambda channel: self._request(run, place, channel, nonce),
            files=tuple(run.files),
            stale=tuple(run.stale),
            compiled=run.compiled,
            timeout=run.timeout,
            cpu=run.cpu,
            output=run.tests is None,
            most_bytes=(8 if run.tests is not None and run.coverage is None else 256) << 20,
        )
        ending = sandbox.run(box, command, receive=transcript.receive, stop=stop)
        if ending.how == "setup":
            raise HarnessError(f"the sandbox cannot be set up: {ending.words}")
        return transcript, ending

    def environment(
        self, place: Place, *, keep_compiled: bool = False, hash_seed: int = 0
    ) -> dict[str, str]:
        """Nothing of the user's but the language: no token, no key, no proxy."""
        folders = [place.root]
        if (self.box.root / "src").is_dir():  # as an editable install would have it
            folders.append(f"{place.root}/src")
        env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return env | {
            "PATH": f"{self.interpreter.python.parent}{os.pathsep}{os.defpath}",
            "HOME": place.home,
            "TMPDIR": place.scratch,
            "PYTHONPATH": os.pathsep.join(folders),
            "PYTHONHASHSEED": str(hash_seed),
            **({} if keep_compiled else {"PYTHONDONTWRITEBYTECODE": "1"}),
        }

    def arguments(self, place: Place, *, paths: Sequence[str], options: Sequence[str]) -> list[str]:
        """pytest's arguments. paths, options: see Run."""
        modules = self.interpreter.modules
        arguments = [*_FIXED, "--rootdir", place.root, *self.config.team.pytest_args]
        arguments += ["--no-cov"] if "pytest_cov" in modules else []
        arguments += ["-n0"] if "xdist" in modules else []
        arguments += ["-p", "no:randomly"] if "pytest_randomly" in modules else []
        return [*arguments, *options, *(paths or self.config.team.tests)]

    def _request(self, run: Run, place: Place, channel: int, nonce: str) -> bytes:
        request: dict[str, Any] = {
            "channel": channel,
            "nonce": nonce,
            "arguments": self.arguments(place, paths=run.paths, options=run.options),
            "wanted": None if run.tests is None else list(run.tests),
            "unwanted": list(run.unwanted),
            "order": run.order,
            "root": place.root,
            "omit": list(self.omitted),
            "tracer": "" if run.coverage is None else _source("tracer"),
            "coverage": run.coverage,
            "alone_seconds": run.alone_seconds,
            "has_cov": "pytest_cov" in self.interpreter.modules,
            "keep_compiled": run.keep_compiled,
        }
        return json.dumps(request).encode()


@functools.cache
def _source(name: str) -> str:
    return (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")


def _refuse_home(root: Path) -> None:
    home = Path.home().resolve()
    if home.is_relative_to(root):
        raise HarnessError(
            f"{root} holds your home folder: candidates would be able to read all of it. "
            "Give the repository's own folder with --repo"
        )
