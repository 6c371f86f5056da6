"""What `p2assist doctor` says of this machine and of the project's interpreter."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from p2assist.config import Config
from p2assist.errors import HarnessError
from p2assist.harness import interpreter, sandbox
from p2assist.harness.remedies import Machine

_OLDEST = (3, 8)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. remedy: what to do where it is not ok; '' otherwise."""

    name: str
    ok: bool
    detail: str = ""
    remedy: str = ""


def checks(config: Config) -> list[Check]:
    """The machine, isolation layer by layer, the interpreter and what it can import, and git."""
    return [_machine(), *_isolation(config.user.isolation), *_interpreter(config), _git()]


def _machine() -> Check:
    here = Machine.here()
    on_linux = here.system == "linux"
    detail = "; ".join(filter(None, (here.description, here.untried)))
    return Check("machine", on_linux, detail, "" if on_linux else here.remedy)


def _isolation(wanted: str) -> list[Check]:
    """The layers of what is used, and whether the fallback would hold too; where nothing can be
    used, the layers of everything that was tried."""
    try:
        chosen = sandbox.detect(wanted)
    except HarnessError as error:
        tried = ("namespaces", "landlock") if wanted == "auto" else (wanted,)
        layers = [(name, layer) for name in tried for layer in sandbox.examine(name).layers]
        failed = [Check(f"{n}: {la.name}", la.holds, la.detail, la.remedy) for n, la in layers]
        return [Check("isolation", False, str(error), layers[0][1].remedy), *failed]
    off = chosen.name == "none"
    remedy = 'remove isolation = "none" from your settings' if off else ""
    head = Check("isolation", not off, chosen.name, remedy)
    layers_in_use = [Check(f"  {la.name}", la.holds, la.detail, la.remedy) for la in chosen.layers]
    return [head, *layers_in_use, *_others(chosen.name, wanted)]


def _others(chosen: str, wanted: str) -> list[Check]:
    """What isolates here besides, or what is stronger and does not: neither is an error."""
    if wanted != "auto":
        return []
    found = []
    for name in {"namespaces", "landlock"} - {chosen}:
        bad = [layer for layer in sandbox.examine(name).layers if not layer.holds]
        words = "; ".join(f"{layer.name}: {layer.detail}" for layer in bad)
        detail = f"not here: {words}. {bad[0].remedy}" if bad else "holds as well; not in use"
        kind = "the stronger one" if name == "namespaces" else "the fallback"
        found.append(Check(f"  {name}, {kind}", True, detail))
    return found


def _interpreter(config: Config) -> list[Check]:
    try:
        found = interpreter.find(config)
    except HarnessError as error:
        return [Check("interpreter", False, str(error), "give the project's Python with --python")]
    version = ".".join(str(part) for part in found.version)
    old = found.version[:2] < _OLDEST
    remedy = "Python 3.8 or newer is needed" if old else ""
    coverage = found.coverage or "p2assist lends its own"
    return [
        Check("interpreter", not old, f"{found.python} (Python {version})", remedy),
        Check("pytest", True, found.pytest),
        Check("coverage", True, coverage),
    ]


def _git() -> Check:
    path = shutil.which("git")
    if not path:
        return Check("git", False, "not found", "install git: commits are not recorded without it")
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("git", False, str(error), "reinstall git")
    return Check("git", said.returncode == 0, said.stdout.strip())
