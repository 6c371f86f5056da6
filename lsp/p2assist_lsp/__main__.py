"""`python -m p2assist_lsp`: the server on standard input and output."""

from __future__ import annotations

from p2assist_lsp.server import main

if __name__ == "__main__":
    main()
