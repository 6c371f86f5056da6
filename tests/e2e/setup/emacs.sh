#!/usr/bin/env bash
# Emacs with eglot, from the distribution: a client that knows nothing of p2assist.
set -euo pipefail
command -v emacs >/dev/null && exit 0
apt-get update -qq
apt-get install -y -qq --no-install-recommends emacs-nox
# A part of Emacs from 29 on.
emacs --batch --eval "(require 'eglot)" 2>/dev/null || apt-get install -y -qq --no-install-recommends elpa-eglot
emacs --version | head -1
