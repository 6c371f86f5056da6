#!/usr/bin/env bash
# Fetches the real editors that `make e2e` drives into .e2e/ (git-ignored), each once.
# usage: tests/e2e/setup.sh [vscode] [neovim]      no name: all of tests/e2e/setup/*.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export E2E="$root/.e2e" PYTHON="$root/.venv/bin/python"
mkdir -p "$E2E"

# The drivers live beside p2assist in its own environment: the tests import them.
"$PYTHON" -m pip install --disable-pip-version-check -q -c "$root/constraints.txt" -e "$root[model,dev,lsp,e2e]"

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for part in "$here"/setup/*.sh; do names+=("$(basename "$part" .sh)"); done
fi
for name in "${names[@]}"; do
    echo "== $name"
    bash "$here/setup/$name.sh"
done
