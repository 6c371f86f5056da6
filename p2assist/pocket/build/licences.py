"""Which licences let a package into the corpus."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PERMISSIVE = re.compile(
    r"\b(mit|bsd|0bsd|apache|psf|python[ -]software[ -]foundation|python-2\.0|cnri[a-z-]*"
    r"|isc|hpnd|zlib|cc0|unlicense)\b"
)
_COPYLEFT = re.compile(
    r"gpl|general public|mozilla|\bmpl|eupl|cddl|\bepl\b|eclipse|cecill|share.?alike|\bsspl\b"
    r"|proprietary|commercial"
)
_LONGEST_NAME = 120  # characters; a longer `License` field is the licence's whole text


def classify(expression: str, classifiers: Sequence[str], field: str) -> str | None:
    """The licence's name when it is surely permissive, else None.

    The three arguments are the metadata fields `License-Expression`, `Classifier` and
    `License`, in the order in which they are believed. One copyleft term excludes the
    package, also in a choice between licences: a wrong exclusion costs nothing.
    """
    names = [c.split("::")[-1].strip() for c in classifiers if c.startswith("License ::")]
    names = [name for name in names if name != "OSI Approved"]
    lines = field.strip().splitlines()
    short = lines[0].strip()[:_LONGEST_NAME] if lines else ""
    everything = " ".join([expression, *names, short]).lower()
    if _COPYLEFT.search(everything):
        return None
    if expression.strip():
        terms = re.split(r"\s+(?:and|or|with)\s+|[()]", expression.strip().lower())
        known = [
            bool(_PERMISSIVE.search(term)) or term.endswith("-exception")
            for term in terms
            if term.strip()
        ]
        return expression.strip() if known and all(known) else None
    for candidate in [*names, short]:
        if _PERMISSIVE.search(candidate.lower()):
            return candidate
    return None
