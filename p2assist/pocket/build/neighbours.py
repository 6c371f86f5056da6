"""Which chunks of a package are like which: what an editor would show beside a cursor.

A chunk's likeness to another is the cosine of the sets of their words' tokens, each weighted by
how rare it is in the package (idf), as retrieval for repository completion does it (RepoCoder,
arXiv 2303.12570, takes the Jaccard index of the same sets).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from tokenizers import Tokenizer

from .layout import Layout
from .pack import Packed

NEIGHBOURS = 4
_COMMON = 0.1  # share of a package's chunks; what is in more of them tells nothing
_LIKE = 0.12  # least cosine
_ROWS = 4096  # chunks compared at a time


def neighbours(
    packed: Packed, layout: Layout, tokenizer: Tokenizer, device: str = "cpu"
) -> npt.NDArray[np.int32]:
    """(chunks, NEIGHBOURS): the likest chunks of the same package, the likest first; -1 for none.

    A chunk's own and those beside it are left out.
    """
    size = tokenizer.get_vocab_size()
    words = [tokenizer.decode([i]).strip() for i in range(size)]
    telling = np.array([len(word) > 1 and word.strip("_").isalnum() for word in words])
    found = np.full((len(layout.chunk_starts), NEIGHBOURS), -1, dtype=np.int32)
    package = packed.packages[layout.chunk_documents]
    bounds = np.flatnonzero(np.diff(package, prepend=-1, append=package.max(initial=0) + 1))
    for first, last in track(list(pairwise(bounds)), "neighbours"):
        if last - first > 2:
            sets = _sets(packed, layout, telling, int(first), int(last), device)
            documents = torch.from_numpy(layout.chunk_documents[first:last]).to(device)
            likest = _likest(sets, documents)
            found[first:last, : likest.shape[1]] = np.where(likest < 0, -1, likest + first)
    return found


def _sets(
    packed: Packed,
    layout: Layout,
    telling: npt.NDArray[np.bool_],
    first: int,
    last: int,
    device: str,
) -> torch.Tensor:
    """(chunks, vocabulary), rows of length 1, or 0 where a chunk tells nothing."""
    begin = layout.chunk_starts[first]
    ends = np.append(layout.chunk_starts[first + 1 : last], 0)
    ends[-1] = packed.starts[layout.chunk_documents[last - 1] + 1]
    ids = packed.ids[begin : ends[-1]].astype(np.int64)
    chunk = np.repeat(np.arange(last - first), ends - layout.chunk_starts[first:last])
    kept = telling[ids]
    sets = torch.zeros(last - first, len(telling), dtype=torch.bfloat16, device=device)
    rows, columns = torch.from_numpy(chunk[kept]), torch.from_numpy(ids[kept])
    sets[rows.to(device), columns.to(device)] = 1
    seen = sets.sum(0, dtype=torch.float32)
    count = float(last - first)
    weights = torch.where(seen <= max(2.0, _COMMON * count), (count / seen.clamp(min=1)).log(), 0)
    sets *= weights.to(sets.dtype)
    return torch.nn.functional.normalize(sets, dim=1)


def _likest(sets: torch.Tensor, documents: torch.Tensor) -> npt.NDArray[np.int32]:
    count = len(sets)
    numbers = torch.arange(count, device=sets.device)
    found = []
    for at in range(0, count, _ROWS):
        own = numbers[at : at + _ROWS]
        like = sets[at : at + _ROWS] @ sets.T
        near = (numbers[None] - own[:, None]).abs() <= 1
        near &= documents[None] == documents[at : at + _ROWS, None]
        like.masked_fill_(near, 0)
        best = like.topk(min(NEIGHBOURS, count), dim=1)
        found.append(torch.where(best.values >= _LIKE, best.indices, -1).to(torch.int32).cpu())
    return torch.cat(found).numpy()
