"""Stage 3: the corpus as token ids, small enough to carry to another machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from rich.progress import track
from tokenizers import Tokenizer

from .corpus import Document

_BATCH = 512  # documents tokenised at a time


@dataclass(frozen=True)
class Packed:
    """Documents one after another.

    ids: every document's tokens, uint16. starts: (documents + 1,), where each begins and the last
    ends. paths, path_starts: the same of the lines that name them. packages: (documents,), the
    number of each one's package.
    """

    ids: npt.NDArray[np.uint16]
    starts: npt.NDArray[np.int64]
    paths: npt.NDArray[np.uint16]
    path_starts: npt.NDArray[np.int64]
    packages: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.packages)

    def path(self, document: int) -> npt.NDArray[np.uint16]:
        """The tokens of the document's path and a newline."""
        return self.paths[self.path_starts[document] : self.path_starts[document + 1]]

    def save(self, file: Path) -> None:
        """Write all to one .npz file, which is there whole or not at all."""
        temporary = file.with_suffix(".tmp.npz")
        np.savez(temporary, **{field.name: getattr(self, field.name) for field in fields(self)})
        temporary.replace(file)

    @classmethod
    def load(cls, *files: Path) -> Self:
        """What `save` wrote, of several files one after another."""
        parts = [dict(np.load(file)) for file in files]
        for number, part in enumerate(parts[1:], 1):
            before = parts[number - 1]
            part["starts"] = part["starts"] + before["starts"][-1]
            part["path_starts"] = part["path_starts"] + before["path_starts"][-1]
            part["packages"] = part["packages"] + before["packages"].max(initial=-1) + 1
        joined = {
            field.name: np.concatenate(
                [p[field.name][:-1] if "starts" in field.name else p[field.name] for p in parts]
            )
            for field in fields(cls)
        }
        for name in ("starts", "path_starts"):
            joined[name] = np.append(joined[name], parts[-1][name][-1])
        return cls(**joined)


def pack(documents: Sequence[Document], tokenizer: Tokenizer) -> Packed:
    """The documents' tokens, those of one package side by side."""
    ordered = sorted(documents, key=lambda document: document.source)
    number = {name: i for i, name in enumerate(dict.fromkeys(d.source for d in ordered))}
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.encode_special_tokens = True  # what only spells one in a file is text
    ids, paths = [], []
    for at in track(range(0, len(ordered), _BATCH), "tokens"):
        part = ordered[at : at + _BATCH]
        ids += _encoded(tokenizer, [document.text for document in part])
        paths += _encoded(tokenizer, [f"{document.path}\n" for document in part])
    packages = np.array([number[document.source] for document in ordered], dtype=np.int32)
    return Packed(_joined(ids), _starts(ids), _joined(paths), _starts(paths), packages)


_Ids = list[npt.NDArray[np.uint16]]


def _encoded(tokenizer: Tokenizer, texts: list[str]) -> _Ids:
    found = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [np.array(encoding.ids, dtype=np.uint16) for encoding in found]


def _joined(parts: _Ids) -> npt.NDArray[np.uint16]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint16)


def _starts(parts: _Ids) -> npt.NDArray[np.int64]:
    return np.cumsum([0, *map(len, parts)], dtype=np.int64)
