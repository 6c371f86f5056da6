"""What kind of machine this is, and what helps where nothing isolates on it.

Tried: Linux, as root and as a plain user, in a container and outside of one. Not tried: GitHub's
runners, Ubuntu's AppArmor, WSL, and containers on macOS and Windows; what is said of these is
what their makers document.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LANDLOCK_SINCE = (5, 13)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Facts. system: sys.platform. kernel: its release. container: what kind of one this is in, ''
    for none. runner: a GitHub runner. wsl: Windows' Linux. apparmor: it restricts user namespaces.
    namespaces: whether the kernel's settings allow them to plain users. landlock: whether the
    kernel has it switched on; None where that cannot be seen. root: run as root."""

    system: str
    kernel: str = ""
    container: str = ""
    runner: bool = False
    wsl: bool = False
    apparmor: bool = False
    namespaces: bool = True
    landlock: bool | None = None
    root: bool = False

    @classmethod
    def here(cls, files: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> Machine:
        """files: the root that facts are read below."""
        kernel = platform.release() if files == Path("/") else ""
        kernel = _read(files / "proc/sys/kernel/osrelease") or kernel
        modules = _read(files / "sys/kernel/security/lsm")
        clone = _read(files / "proc/sys/kernel/unprivileged_userns_clone")
        most = _read(files / "proc/sys/user/max_user_namespaces")
        return cls(
            system=sys.platform,
            kernel=kernel,
            container=_container(files, environ),
            runner=environ.get("GITHUB_ACTIONS") == "true",
            wsl="microsoft" in kernel.lower(),
            apparmor=_read(files / "proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1",
            namespaces=clone != "0" and most != "0",
            landlock="landlock" in modules.split(",") if modules else None,
            root=hasattr(os, "geteuid") and os.geteuid() == 0,
        )

    @property
    def description(self) -> str:
        """In a few words, for people."""
        if self.system != "linux":
            return {"darwin": "macOS", "win32": "Windows"}.get(self.system, self.system)
        where = [
            f"Linux {self.kernel}".strip(),
            "as root" if self.root else "as a plain user",
            "a GitHub runner" if self.runner else "",
            "WSL" if self.wsl else "",
            f"in a container ({self.container})" if self.container else "",
        ]
        return ", ".join(part for part in where if part)

    @property
    def untried(self) -> str:
        """What of this machine's kind p2assist was never tried on; '' where it was."""
        if self.system == "darwin":
            return "macOS's own sandbox (Seatbelt) was not tried, and is not used"
        if self.system == "win32":
            return "neither WSL nor a container on Windows was tried"
        if self.runner:
            return "GitHub's runners were not tried"
        if self.apparmor:
            return "Ubuntu's AppArmor was not tried"
        return "WSL was not tried" if self.wsl else ""

    @property
    def remedy(self) -> str:
        """What helps where nothing isolates."""
        if self.system == "darwin":
            return "Run p2assist in a Linux container: a dev container, Docker, Podman or Lima."
        if self.system == "win32":
            return "Run p2assist in WSL 2 or in a Linux container."
        if self.system != "linux":
            return "Run p2assist in a Linux container or virtual machine."
        return " ".join([*self._namespaces(), *self._landlock()])

    def _namespaces(self) -> list[str]:
        if self.apparmor:
            step = "In a step before, run" if self.runner else "Run"
            return [
                "AppArmor restricts user namespaces here. "
                f"{step} `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`."
            ]
        if not self.namespaces:
            return [
                "User namespaces are switched off. Run `sudo sysctl -w user.max_user_namespaces="
                "15000` and, where it exists, `sudo sysctl -w kernel.unprivileged_userns_clone=1`."
            ]
        if self.container:
            return [
                "The container forbids user namespaces. Start it with `--security-opt "
                "seccomp=unconfined --security-opt apparmor=unconfined --security-opt "
                "systempaths=unconfined`, or, in Kubernetes, with `procMount: Unmasked` and "
                "`seccompProfile: Unconfined`."
            ]
        return ["User namespaces must be allowed to plain users."]

    def _landlock(self) -> list[str]:
        if _version(self.kernel) < _LANDLOCK_SINCE:
            return ["Or use Linux 5.13 or newer, which has Landlock."]
        if self.landlock is False:
            return ["Or switch Landlock on: add it to `lsm=` of the kernel's command line."]
        return [
            "Or let Landlock's system calls through, if it is a seccomp profile that stops them."
        ]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _container(files: Path, environ: Mapping[str, str]) -> str:
    if (files / ".dockerenv").exists():
        return "Docker"
    if (files / "run/.containerenv").exists():
        return "Podman"
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "Kubernetes"
    return environ.get("container", "")  # systemd's convention


def _version(kernel: str) -> tuple[int, int]:
    major, _, rest = kernel.partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else _LANDLOCK_SINCE
