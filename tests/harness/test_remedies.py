from __future__ import annotations

from pathlib import Path

import pytest

from p2assist.harness.remedies import Machine

from .helpers import write


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (Machine(system="darwin"), ["Linux container"]),
        (Machine(system="win32"), ["WSL 2", "container"]),
        (Machine(system="freebsd14"), ["virtual machine"]),
        (
            Machine(system="linux", kernel="6.8.0-1", apparmor=True),
            ["Run `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"],
        ),
        (
            Machine(system="linux", kernel="6.8.0-1", apparmor=True, runner=True),
            ["In a step before, run `sudo sysctl"],
        ),
        (Machine(system="linux", kernel="6.1", namespaces=False), ["user.max_user_namespaces"]),
        (
            Machine(system="linux", kernel="6.1.9", container="Docker"),
            ["seccomp=unconfined", "systempaths=unconfined", "Landlock's system calls"],
        ),
        (Machine(system="linux", kernel="5.4.0-generic"), ["plain users", "5.13 or newer"]),
        (Machine(system="linux", kernel="6.1", landlock=False), ["`lsm=`"]),
        (Machine(system="linux", kernel="strange"), ["seccomp profile"]),
    ],
)
def test_each_kind_of_machine_has_its_remedy(machine: Machine, words: list[str]) -> None:
    assert all(word in machine.remedy for word in words)


def test_what_was_not_tried_is_said() -> None:
    assert "Seatbelt" in Machine(system="darwin").untried
    assert "WSL" in Machine(system="win32").untried
    assert "runners" in Machine(system="linux", runner=True).untried
    assert "AppArmor" in Machine(system="linux", apparmor=True).untried
    assert "WSL" in Machine(system="linux", wsl=True).untried
    assert Machine(system="linux").untried == ""


def test_the_facts_are_read_from_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    write(
        tmp_path,
        {
            "proc/sys/kernel/osrelease": "5.15.90-microsoft-standard",
            "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
            "proc/sys/user/max_user_namespaces": "0",
            "sys/kernel/security/lsm": "capability,landlock,yama",
            "run/.containerenv": "",
        },
    )
    found = Machine.here(tmp_path, {"GITHUB_ACTIONS": "true"})
    assert found.wsl
    assert found.runner
    assert found.apparmor
    assert not found.namespaces
    assert found.landlock is True
    assert found.container == "Podman"
    assert found.description.startswith("Linux 5.15.90-microsoft-standard, as ")
    assert found.description.endswith("a GitHub runner, WSL, in a container (Podman)")
    nothing = Machine.here(tmp_path / "empty", {})
    assert (nothing.container, nothing.apparmor, nothing.namespaces) == ("", False, True)
    assert nothing.landlock is None


def test_this_machine_is_described() -> None:
    here = Machine.here()
    assert here.description
    assert here.remedy
