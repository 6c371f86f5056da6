from __future__ import annotations

from pathlib import Path

from p2assist.harness.hidden import hidden

from .helpers import write


def test_secrets_are_hidden_wherever_they_lie(tmp_path: Path) -> None:
    secrets = (
        *(".env", ".git/config", "service/.env.local", "a/b/c/id_ed25519", "deploy/.netrc"),
        *(".aws/credentials", "sub/.git/config", "web/.npmrc"),
    )
    write(tmp_path, dict.fromkeys(secrets, "secret"))
    write(tmp_path, dict.fromkeys(("config", "credentials", "environment.py", ".gitignore"), ""))
    assert hidden(tmp_path) == (".p2assist", *sorted(secrets))


def test_folders_of_such_names_and_other_peoples_files_are_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            ".env/code.py": "",
            "venv/pyvenv.cfg": "",
            "venv/lib/.env": "",
            "node_modules/one/.npmrc": "",
            ".git/refs/id_rsa": "",
        },
    )
    assert hidden(tmp_path) == (".p2assist",)
