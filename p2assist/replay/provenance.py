"""Which commit a repository stands at."""

from __future__ import annotations

import subprocess
from pathlib import Path


def current_commit(root: Path) -> str:
    """The commit that HEAD names, in hex; '' where root is in no repository, where there is no
    commit yet, and where git is not installed. Uncommitted changes do not show in it."""
    command = ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", "HEAD^{commit}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
