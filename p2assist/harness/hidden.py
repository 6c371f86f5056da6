"""What lies in a repository and no candidate may see: p2assist's own state, and secrets by their
usual names, wherever in the tree they are.

Only names are looked at: a secret under a name of its own is seen. A test that needs one of these
files fails at baseline, and so says nothing of a candidate.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

from p2assist.config import STATE
from p2assist.harness import tree

_NAMES = (
    *(".env", ".env.*", ".envrc", ".netrc", "_netrc", ".pypirc", ".npmrc", ".pgpass", ".htpasswd"),
    *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".git-credentials", ".vault-token"),
)
# By the folder's name too: the file's alone says nothing.
_IN_FOLDER = {
    ".git": ("config", "credentials"),
    ".aws": ("credentials",),
    ".docker": ("config.json",),
    ".kube": ("config",),
    ".streamlit": ("secrets.toml",),
}


def hidden(root: Path) -> tuple[str, ...]:
    """Posix paths below root; environments and caches, which hold other people's files, are not
    searched. A folder of such a name (an environment called .env) is none."""
    found = []
    for folder, names, files in os.walk(root):
        below = Path(folder).relative_to(root)
        if below.name == ".git":
            names.clear()
        names[:] = [n for n in names if n == ".git" or not _skipped(folder, n)]
        own = _IN_FOLDER.get(below.name, ())
        found += [(below / n).as_posix() for n in files if n in own or _is_secret(n)]
    return (STATE, *sorted(found))


def _is_secret(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _NAMES)


def _skipped(folder: str, name: str) -> bool:
    return name in tree.PRUNED or (Path(folder) / name / "pyvenv.cfg").is_file()
