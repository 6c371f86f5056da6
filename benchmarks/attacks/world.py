"""The throw-away world that the attacks are let loose on, with a canary wherever one may land."""

from __future__ import annotations

import ctypes
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from string import Template
from types import TracebackType

import psutil

from benchmarks.attacks.meter import Meter
from benchmarks.packages import bare
from p2assist.config import Config, HarnessConfig, TeamConfig, UserConfig

MARK = "P2A_MARK_"
TIMEOUT, MEMORY_MB = 4.0, 512
_DYING = 2.0  # seconds: a verdict is told while its sandbox is being torn down

_PRICES = '''"""Prices: nothing here reaches for anything."""


def total(prices):
    """The sum."""
    return sum(prices)
'''
_ODD = '''"""Numbers, in a file that uses whatever there is, so nothing is refused."""


def twice(number):
    return number * 2
'''
_TESTS = {
    "tests/test_odd.py": """from shop.odd import twice


def test_first():
    assert twice(0) == 0


def test_twice():
    assert twice(4) == 8


def test_last():
    assert twice(5) == 10
""",
    "tests/test_prices.py": """from shop.prices import total


def test_two():
    prices = (1, 2)
    expected = sum(prices)
    assert total(prices) == expected


def test_one():
    prices = (5,)
    expected = sum(prices)
    assert total(prices) == expected
""",
}


class World:
    """Use as a context manager. names: what `$name` in an attack's code stands for.

    codes: what the attacks are made of; the file under attack holds it all already, in functions
    that nobody calls, so that nothing of it is refused for being new.
    """

    def __init__(self, codes: list[str], forgeries: list[str]) -> None:
        self._stack = ExitStack()
        base = tempfile.mkdtemp(prefix="p2assist-world-")
        self._stack.callback(shutil.rmtree, base, ignore_errors=True)
        self.base = Path(base).resolve()
        self.root, self.home = self.base / "repo", self.base / "home"
        self.outside = self.base / "outside"
        self.secret, self.token = secrets.token_hex(8), f"p2a-{secrets.token_hex(6)}"
        self.meter = Meter()
        self._notes: dict[str, int] = {}
        self._strays: list[subprocess.Popen[bytes]] = []
        self._sockets: dict[str, socket.socket] = {}
        self.python = bare(self.base / "venv")
        self._site = next((self.base / "venv").glob("lib/python3*/site-packages"))
        self._buffer = ctypes.create_string_buffer(self.secret.encode(), 64)
        self._codes, self._forgeries = codes, forgeries

    def __enter__(self) -> World:
        self.root.mkdir()
        self._listen()
        self.canary = self._spawn()
        self._stack.callback(self._end_canary)
        self.names = self._named()
        self._files = self._contents()
        self.repair()
        self._environment = {"HOME": str(self.home), "SECRET_TOKEN": MARK + self.secret}
        self._before = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for name, value in self._before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        self._stack.close()

    def config(self, isolation: str) -> Config:
        limits = HarnessConfig(timeout=TIMEOUT, memory_mb=MEMORY_MB, workers=2)
        return Config(
            root=self.root,
            team=TeamConfig(harness=limits),
            user=UserConfig(python=str(self.python), isolation=isolation),  # type: ignore[arg-type]
        )

    def written(self, code: str) -> str:
        """The code with the places of this world in it."""
        return Template(code).safe_substitute(self.names).strip("\n")

    def repair(self) -> None:
        """Everything as it was; what attacks left running is ended."""
        for path, content in self._files.items():
            file = self.base / path
            if file.is_symlink() or not file.exists() or file.read_text() != content:
                file.unlink(missing_ok=True)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
        for link, target in (("repo/out", "../outside"), ("repo/shop/linked.txt", "../out/secret")):
            if not (self.base / link).is_symlink():
                (self.base / link).symlink_to(target)
        for path in self._strangers():
            _removed(path)
        if not self.canary_lives():
            self._end_canary()
            self.canary = self._spawn()
            self.names["canary"] = str(self.canary.pid)
        for process in self._marked():
            process.kill()
        for stray in self._strays:
            stray.wait()
        self._strays.clear()
        self.arrived()
        self._notes.clear()
        self._known = self._snapshot()

    def changed(self) -> str:
        """Which files are not as they were, in words."""
        now = self._snapshot()
        found = [p for p in sorted({*now, *self._known}) if now.get(p) != self._known.get(p)]
        return f"changed: {', '.join(found[:3])}" if found else ""

    def arrived(self) -> str:
        """Which sockets of ours somebody has reached since it was last asked."""
        found = []
        for name, listener in self._sockets.items():
            try:
                while True:
                    if listener.type == socket.SOCK_DGRAM:
                        listener.recv(99)
                    else:
                        listener.accept()[0].close()
                    found.append(name)
            except BlockingIOError:
                continue
        return f"reached: {', '.join(sorted(set(found)))}" if found else ""

    def canary_lives(self) -> bool:
        return self.canary.poll() is None

    def left_running(self) -> str:
        until = time.monotonic() + _DYING
        while (left := self._marked()) and time.monotonic() < until:
            time.sleep(0.05)
        return f"{len(left)} processes are left" if left else ""

    def peak(self, name: str) -> int:
        return max(self.meter.peak(name), self._notes.get(name, 0))

    def note(self, name: str, value: int) -> None:
        """What the meter is to show, for a control."""
        self._notes[name] = value

    def leave_one(self) -> None:
        """Leaves a process running, as an attack would."""
        command = [sys.executable, "-c", "import time; time.sleep(60)", self.token]
        self._strays.append(subprocess.Popen(command))

    def _marked(self) -> list[psutil.Process]:
        processes = psutil.process_iter(["cmdline", "pid"])
        return [p for p in processes if self.token in (p.info["cmdline"] or ())]

    def _end_canary(self) -> None:
        self.canary.kill()
        self.canary.wait()

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(99999)", MARK + self.secret],
            env={"CANARY": MARK + self.secret},
        )

    def _listen(self) -> None:
        self.outside.mkdir()
        tcp, udp = (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)
        unix = (socket.AF_UNIX, socket.SOCK_STREAM)
        places: dict[str, tuple[tuple[int, int], object]] = {
            "tcp": (tcp, ("", 0)),
            "tcp6": ((socket.AF_INET6, socket.SOCK_STREAM), ("::1", 0)),
            "udp": (udp, ("127.0.0.1", 0)),
            "path": (unix, f"{self.outside}/docker.sock"),
            "repository": (unix, f"{self.root}/dev.sock"),
            "abstract": (unix, f"\0{self.token}"),
            "datagram": ((socket.AF_UNIX, socket.SOCK_DGRAM), f"\0{self.token}-d"),
        }
        for name, (kind, address) in places.items():
            one = self._stack.enter_context(socket.socket(*kind))
            one.bind(address)
            if one.type != socket.SOCK_DGRAM:
                one.listen(64)
            one.setblocking(False)
            self._sockets[name] = one

    def _named(self) -> dict[str, str]:
        ports = {n: str(self._sockets[n].getsockname()[1]) for n in ("tcp", "tcp6", "udp")}
        return ports | {
            "root": str(self.root),
            "home": str(self.home),
            "outside": str(self.outside),
            "base": str(self.base),
            "site": str(self._site),
            "address": _own_address(),
            "token": self.token,
            "mark": MARK,
            "secret": self.secret,
            "pid": str(os.getpid()),
            "canary": str(self.canary.pid),
            "buffer": str(ctypes.addressof(self._buffer)),
            "number": self.secret[:7],
        }

    def _contents(self) -> dict[str, str]:
        told = f"{MARK}{self.secret}\n"
        unused = "".join(
            f"\n\ndef _unused_{n}():\n{indented(self.written(code))}\n"
            for n, code in enumerate(self._codes)
        )
        forged = "".join(
            f"\n\ndef _unused_{n}(prices):\n{indented(code)}\n"
            for n, code in enumerate(self._forgeries)
        )
        repository = {
            "shop/__init__.py": "",
            "shop/odd.py": _ODD + unused,
            "shop/prices.py": _PRICES,
            "shop/loose.py": _PRICES + forged,
            **_TESTS,
            "tests/test_loose.py": _TESTS["tests/test_prices.py"].replace("prices i", "loose i"),
            ".git/config": told,
            ".env": told,
            "service/.env": told,
            "service/deep/.env.local": told,
            "deploy/id_ed25519": told,
            ".p2assist/replay.db": told,
        }
        secrets_ = dict.fromkeys(("secret", "other/setup.py"), told)
        outside = {"notes": "notes\n"} | secrets_
        home = {".ssh/id_rsa": told, ".aws/credentials": told, ".bashrc": "", ".profile": ""}
        folders = (("repo", repository), ("outside", outside), ("home", home))
        return {f"{folder}/{p}": text for folder, files in folders for p, text in files.items()}

    def _watched(self) -> list[Path]:
        """What must not change: not p2assist's own state, but the store in it."""
        found = [self.base, self._site]
        for folder in (self.root, self.outside, self.home):
            for path in (folder, *folder.rglob("*")):
                if ".p2assist" not in path.parts or path.name == "replay.db":
                    found.append(path)
        return found

    def _strangers(self) -> list[Path]:
        known = set(getattr(self, "_known", ()))
        found = [*self._watched(), *self.base.iterdir(), self._site / "p2assist_attack.pth"]
        own = {self.base, self._site, self.base / "venv"}
        new = [p for p in found if known and p not in own and os.path.lexists(p)]
        return [p for p in new if str(p.relative_to(self.base)) not in known]

    def _snapshot(self) -> dict[str, str]:
        return {str(p.relative_to(self.base)): _state(p) for p in self._watched()}


def _removed(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)  # its folder was a stranger too


def indented(code: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in code.split("\n"))


def _state(path: Path) -> str:
    """All that could be changed of a file."""
    try:
        status = path.lstat()
        if path.is_symlink():
            return f"link to {path.readlink()}"
        if path.is_dir():
            return f"{status.st_mode} {sorted(p.name for p in path.iterdir())}"
        content = path.read_bytes() if path.is_file() else b""
        more = os.listxattr(path) if path.is_file() else []
        digest = hashlib.sha256(content).hexdigest()
        return f"{status.st_mode} {status.st_nlink} {int(status.st_mtime)} {digest} {more}"
    except OSError as error:
        return str(error)


def _own_address() -> str:
    """An address of this machine that is not the loopback's."""
    found = [a.address for each in psutil.net_if_addrs().values() for a in each if a.family == 2]
    return next((address for address in found if not address.startswith("127.")), "127.0.0.1")
