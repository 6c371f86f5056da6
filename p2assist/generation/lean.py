"""The lean forward pass of the Llama-like families, over a tree of tokens.

Prefilling, beam decoding and scoring are one operation: some new tokens, each with its position,
are put behind the keys and values that are there, and a mask says which of them each may see. The
beams of a prompt are the branches of a tree whose stem is the prompt (the tree attention of
SpecInfer, arXiv 2305.09781, section 4.2): its keys and values are neither copied nor moved, one
product attends for all beams, and when beams change places only rows of the mask move.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from p2assist.generation import attention
from p2assist.generation.cache import PrefixCache
from p2assist.generation.forward import chunk_size
from p2assist.generation.request import FREE, Control
from p2assist.generation.weights import Block, Weights

_GRAIN = 256  # slots: how coarsely buffers grow
_ROWS = 8  # tokens of a prompt are computed by so many: oneDNN makes a kernel for each new shape
_MOST_ROWS = 256  # tokens of answers that are scored at once
Mask = tuple[torch.Tensor, torch.Tensor]  # added to scores: of all that is behind, of a window
Slots = slice | torch.Tensor  # (rows,)


class Keys:
    """Keys and values of a sequence, and room behind it for the branches that grow from it.

    buffer: (layers, 2, groups, slots, width). Implements cache.Memory.
    """

    def __init__(self, weights: Weights, slots: int = 0) -> None:
        shape = (len(weights.blocks), 2, weights.groups, _rounded(slots), weights.width)
        # Of zeros: what is masked must be a number all the same.
        self.buffer = torch.zeros(shape, dtype=weights.kept, device=weights.device)
        self.length = 0

    @property
    def nbytes(self) -> int:
        return self.buffer.nbytes

    def cut(self, size: int) -> None:
        self.length = size

    def copy(self, size: int) -> Keys:
        made = object.__new__(Keys)
        made.buffer = self._grown(_rounded(size), size)
        made.length = size
        return made

    def reserve(self, slots: int) -> None:
        """Room for so many slots in all; what the sequence has is kept."""
        if slots > self.buffer.shape[3]:
            self.buffer = self._grown(_rounded(slots), self.length)

    def _grown(self, slots: int, kept: int) -> torch.Tensor:
        layers, two, groups, _, width = self.buffer.shape
        buffer = self.buffer.new_zeros(layers, two, groups, slots, width)
        buffer[:, :, :, :kept] = self.buffer[:, :, :, :kept]
        return buffer


class LeanForward:
    """Implements Forward. memory: bytes of keys and values that are kept between prompts."""

    def __init__(self, weights: Weights, *, memory: int) -> None:
        self.weights = weights
        self.cache: PrefixCache[Keys] = PrefixCache(memory)

    @property
    def device(self) -> torch.device:
        return self.weights.device

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int], control: Control = FREE) -> LeanPrompt | None:
        keys, done = self.cache.take(ids) or (Keys(self.weights, len(ids)), 0)
        keys.reserve(len(ids) + _ROWS)
        tokens = torch.tensor(list(ids), device=self.device)
        hidden = None
        try:
            while done < len(ids) and not control.expired:
                control.check()
                new = min(chunk_size(self.device), len(ids) - done)
                hidden = self._chunk(keys, tokens[done : done + new])
                done += new
        finally:
            self.cache.put(ids[:done], keys)
        if hidden is None or done < len(ids):
            return None
        return LeanPrompt(self, keys, self.logits(hidden[-1:])[0])

    def _chunk(self, keys: Keys, tokens: torch.Tensor) -> torch.Tensor:
        at, new, turns = keys.length, len(tokens), self.weights.turns
        end = min(at + new + -new % _ROWS, len(turns))  # what is too much is written over later
        tokens = F.pad(tokens, (0, end - at - new))
        seen = torch.arange(attention.padded(end), device=self.device)
        now = seen[at:end, None]
        hidden = self.run(keys, tokens, at, turns[at:end], self.mask(seen <= now, seen, now))
        keys.length = at + new
        return hidden[:new]

    def mask(self, seen: torch.Tensor, positions: torch.Tensor, now: torch.Tensor) -> Mask:
        """seen: (rows, slots), what each row may see; as many slots as `attention.padded` says.
        positions: (slots,). now: (rows, 1)."""
        everything = torch.zeros(seen.shape, dtype=self.weights.kept, device=self.device)
        everything.masked_fill_(~seen, -torch.inf)
        window = max(block.window for block in self.weights.blocks)
        if not window:
            return everything, everything
        return everything, everything.masked_fill(positions <= now - window, -torch.inf)

    def run(
        self, keys: Keys, tokens: torch.Tensor, at: int, turns: torch.Tensor, mask: Mask
    ) -> torch.Tensor:
        """What the last layer says of the tokens, (rows, hidden); their keys go to slots at, ....

        turns: of the tokens' positions. mask: as `mask` makes it.
        """
        where = slice(at, at + len(tokens))
        return self.through(self.embed(tokens), keys.buffer, where, turns, mask, free=keys.length)

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        return F.embedding(tokens, self.weights.embedding).to(self.weights.dtype)

    def through(
        self,
        x: torch.Tensor,
        buffer: torch.Tensor,
        where: Slots,
        turns: torch.Tensor,
        mask: Mask,
        *,
        free: int = 0,
        layers: slice = slice(None),
    ) -> torch.Tensor:
        """What some of the layers make of x, (rows, hidden), which may be written over. buffer: as
        of Keys. free: slots that no mask hides but a window's."""
        weights = self.weights
        repeats = weights.heads // weights.groups
        if repeats > 1 and weights.exact:
            one = mask[0].repeat(repeats, 1)
            mask = one, one if mask[0] is mask[1] else mask[1].repeat(repeats, 1)
        for block, kept in zip(weights.blocks[layers], buffer[layers], strict=True):
            chosen = mask[1 if block.window else 0]
            qkv = block.qkv.linear(block.before(x))
            shown = 0 if block.window else free
            x = block.out.linear.onto(x, self._attend(qkv, kept, where, turns, chosen, shown))
            x = block.down.linear.onto(x, self._widened(block, block.after(x)))
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.weights.head.linear(self.weights.norm(hidden)).float()

    def _attend(
        self,
        qkv: torch.Tensor,
        buffer: torch.Tensor,
        where: Slots,
        turns: torch.Tensor,
        mask: torch.Tensor,
        free: int,
    ) -> torch.Tensor:
        """qkv: (rows, (heads + 2 groups) * width). buffer: one layer's. free: slots that no mask
        hides. Returns (rows, heads * width)."""
        rows, w = len(qkv), self.weights
        turned = w.heads + w.groups
        qkv = qkv.view(rows, -1, w.width)
        pairs = torch.view_as_complex(qkv[:, :turned].float().view(rows, turned, -1, 2))
        qkv[:, :turned] = torch.view_as_real(pairs * turns).flatten(-2)
        new = qkv[:, w.heads :].view(rows, 2, w.groups, w.width)
        buffer[:, :, where] = new.permute(1, 2, 0, 3).to(buffer.dtype)
        query = qkv[:, : w.heads].view(rows, w.groups, -1, w.width).permute(1, 2, 0, 3)
        query, seen = query.reshape(w.groups, -1, w.width), buffer[:, :, : mask.shape[1]]
        if not w.exact:
            out = attention.rounded(query, seen[0], seen[1], mask, free)
        elif rows <= attention.FEW and query.is_cuda:
            out = attention.few(query, seen[0], seen[1], mask)
        else:
            out = attention.exact(query, seen[0], seen[1], mask)
        return out.view(w.groups, -1, rows, w.width).permute(2, 0, 1, 3).reshape(rows, -1)

    @staticmethod
    def _widened(block: Block, x: torch.Tensor) -> torch.Tensor:
        y = block.up.linear(x)
        if not block.gated:
            return block.act(y)
        gate, up = y.chunk(2, -1)
        return block.act(gate) * up


class LeanPrompt:
    """Implements Prefilled."""

    def __init__(self, forward: LeanForward, keys: Keys, logits: torch.Tensor) -> None:
        self.logits = logits
        self._forward = forward
        self._keys = keys

    def branch(self, rows: int, room: int) -> LeanBranches:
        return LeanBranches(self._forward, self._keys, rows, room)

    @torch.inference_mode()
    def score(self, answers: Sequence[Sequence[int]]) -> list[float]:
        """What answers have in common is computed once: they too are branches of a tree."""
        sums: list[float] = []
        batch: list[Sequence[int]] = []
        for answer in answers:
            if batch and sum(map(len, batch)) + len(answer) > _MOST_ROWS:
                sums += self._score(batch)
                batch = []
            batch.append(answer)
        return sums + (self._score(batch) if batch else [])

    def _score(self, answers: Sequence[Sequence[int]]) -> list[float]:
        tree = _Tree()
        paths = [tree.add(answer) for answer in answers]
        table = torch.log_softmax(self._logits(tree), -1)
        sums = []
        for path, answer in zip(paths, answers, strict=True):
            device = table.device
            rows = torch.tensor([0, *path[:-1]][: len(answer)], device=device)
            sums.append(table[rows, torch.tensor(list(answer), device=device)].double().sum())
        return torch.stack(sums).tolist() if sums else []

    def _logits(self, tree: _Tree) -> torch.Tensor:
        """(1 + nodes, vocabulary): of what follows the prompt, and each node."""
        forward, keys = self._forward, self._keys
        if not tree.tokens:
            return self.logits[None]
        start, count, device = keys.length, len(tree.tokens), self._forward.device
        slots = attention.padded(start + count)
        seen = torch.zeros(count, slots, dtype=torch.bool)
        for node, parent in enumerate(tree.parents):
            seen[node] = seen[parent] if parent >= 0 else False
            seen[node, start + node] = True
        seen[:, :start] = True
        now = start + torch.tensor(tree.depths, device=device)
        unused = now.new_zeros(slots - start - count)
        positions = torch.cat([torch.arange(start, device=device), now, unused])
        keys.reserve(start + count)
        mask = forward.mask(seen.to(device), positions, now[:, None])
        tokens = torch.tensor(tree.tokens, device=device)
        hidden = forward.run(keys, tokens, start, forward.weights.turns[now], mask)
        return torch.cat([self.logits[None], forward.logits(hidden)])


class LeanBranches:
    """Implements Branches."""

    def __init__(self, forward: LeanForward, keys: Keys, rows: int, room: int) -> None:
        self._forward = forward
        self._keys = keys
        self._start = self._end = keys.length  # the slots of the branches are from start to end
        self._depth = 0
        slots, device = attention.padded(keys.length + rows * room), forward.device
        keys.reserve(slots)
        self._mask = torch.zeros(rows, slots, dtype=forward.weights.kept, device=device)
        self._mask[:, self._start :] = -torch.inf
        self._positions = torch.arange(slots, device=device)
        self._window = max(block.window for block in forward.weights.blocks)

    @torch.inference_mode()
    def step(self, parents: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        forward, rows = self._forward, len(tokens)
        at, end = self._end, self._end + rows
        both = torch.tensor([parents, tokens], device=forward.device)
        if at > self._start:
            self._mask[:rows, self._start : at] = self._mask[both[0], self._start : at]
        self._mask[:rows, at:end].fill_diagonal_(0.0)
        position = self._start + self._depth
        if self._window:
            self._positions[at:end] = position
        hidden = forward.run(
            self._keys,
            both[1],
            at,
            forward.weights.turns[position : position + 1],
            self._seen(rows, attention.padded(end), position),
        )
        self._end, self._depth = end, self._depth + 1
        return forward.logits(hidden)

    def _seen(self, rows: int, end: int, position: int) -> Mask:
        mask = self._mask[:rows, :end]
        if not self._window or position < self._window:
            return mask, mask
        old = self._positions[:end] <= position - self._window
        return mask, mask.masked_fill(old, -torch.inf)


class _Tree:
    """Token sequences that share what they have in common from their first token on. The last
    token of a sequence is no node: what follows it is not asked. parents: -1 for the prompt."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.depths: list[int] = []
        self._known: dict[tuple[int, int], int] = {}

    def add(self, sequence: Sequence[int]) -> list[int]:
        """The rows (see LeanPrompt._logits) of the sequence's nodes, and one more number."""
        path, node = [], -1
        for depth, token in enumerate(sequence[:-1]):
            child = self._known.get((node, token))
            if child is None:
                child = len(self.tokens)
                self._known[node, token] = child
                self.tokens.append(token)
                self.parents.append(node)
                self.depths.append(depth)
            path.append(child + 1)
            node = child
        return [*path, -1]


def _rounded(slots: int) -> int:
    return -(-max(slots, 1) // _GRAIN) * _GRAIN
