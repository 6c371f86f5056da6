#!/usr/bin/env bash
# A real VS Code that a browser shows: code-server on loopback, looked at with Chromium.
# Needs root for apt, and node >= 20, gcc, make and python3 for the one module that is compiled.
set -euo pipefail
VERSION=4.100.3  # VS Code 1.100.3; later ones need node 24
DIR="$E2E/code-server"

if ! command -v chromium >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
fi
[ -f "$DIR/.installed-$VERSION" ] && exit 0

mkdir -p "$DIR"
cd "$DIR"
[ -f package.json ] || npm init -y >/dev/null
# Its own install script refuses root and fetches search tools that nothing here uses.
quiet=(--ignore-scripts --no-audit --no-fund --loglevel=error)
npm install "${quiet[@]}" "code-server@$VERSION"
code="$DIR/node_modules/code-server/lib/vscode"
(cd "$code" && npm install "${quiet[@]}" --omit=dev)
(cd "$code/extensions" && npm install "${quiet[@]}" --omit=dev)
[ -d node_modules/argon2/prebuilds ] || JOBS=2 npm rebuild argon2
ln -sfn node_modules "$code/node_modules.asar"
ln -sfn code-linux.sh "$code/bin/remote-cli/code-server"
ln -sfn browser-linux.sh "$code/bin/helpers/browser.sh"
XDG_CONFIG_HOME="$E2E/xdg" node node_modules/code-server/out/node/entry.js --version
touch "$DIR/.installed-$VERSION"
