"""`python -m p2assist.generation.serve`: what a client starts."""

from __future__ import annotations

import argparse
from pathlib import Path

from p2assist.generation.serve.place import Place
from p2assist.generation.serve.process import leave, serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--idle", type=float, required=True)
    given = parser.parse_args()
    leave(serve(Place(given.folder, given.logs), idle=given.idle))
