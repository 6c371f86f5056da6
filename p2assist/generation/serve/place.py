"""Where the user's model process is: a folder of the user's alone, with a socket and two locks."""

from __future__ import annotations

import os
import socket
import stat
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from p2assist.errors import ModelError

OTHER = 3  # the exit code of a process that found another serving
_LONGEST = 100  # bytes of a socket's path; Linux takes 107, macOS 103


@dataclass(frozen=True, slots=True)
class Place:
    """folder: holds the socket. logs: holds the log."""

    folder: Path
    logs: Path

    @classmethod
    def of_user(cls) -> Place:
        """The user's own; $P2ASSIST_RUNTIME overrides both folders."""
        given = os.environ.get("P2ASSIST_RUNTIME")
        if given:
            folder = Path(given).absolute()
            return cls(folder, folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own fall-back, without XDG_RUNTIME_DIR, is fine
            folder = platformdirs.user_runtime_path("p2assist")
        return cls(folder, platformdirs.user_log_path("p2assist"))

    @property
    def address(self) -> Path:
        return self.folder / "model.sock"

    @property
    def log(self) -> Path:
        return self.logs / "model.log"

    @property
    def errors(self) -> Path:
        """What the process writes to stderr: empty unless it dies."""
        return self.logs / "model.err"

    def prepare(self) -> None:
        """Makes the folders. Raises ModelError where they are not the user's alone."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                raise ModelError(f"{self.folder} is not yours: set P2ASSIST_RUNTIME to a folder")
            self.folder.chmod(0o700)
        except OSError as error:
            raise ModelError(
                f"no folder for the model process: {error}. Set P2ASSIST_RUNTIME to a folder of "
                "your own"
            ) from error
        if len(os.fsencode(self.address)) > _LONGEST:
            raise ModelError(f"{self.address} is too long for a socket: set P2ASSIST_RUNTIME")

    def starting(self) -> FileLock:
        """Held by the client that starts the process, until it answers."""
        return FileLock(self.folder / "starting.lock", timeout=60, thread_local=False)

    def serving(self) -> FileLock:
        """Held by the process while it lives; kill -9 lets go of it."""
        return FileLock(self.folder / "serving.lock", timeout=0, thread_local=False)

    def connect(self, seconds: float = 5.0) -> socket.socket | None:
        """A connection; None where nobody listens. seconds: of waiting for a full backlog."""
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(seconds)
        try:
            link.connect(str(self.address))
        except (FileNotFoundError, ConnectionRefusedError):
            link.close()
            return None
        except OSError as error:
            link.close()
            raise ModelError(f"the model process at {self.address} cannot be asked: {error}") from (
                error
            )
        return link


def supported() -> bool:
    """Whether this system has what it takes; on Windows asyncio serves no unix sockets."""
    return hasattr(socket, "AF_UNIX") and sys.platform != "win32"
