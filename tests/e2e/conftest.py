"""Real editors, fetched by `make e2e-setup`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the drivers beside the tests
