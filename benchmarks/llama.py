"""llama.cpp's side of `benchmarks.beam`; run by an interpreter that has llama-cpp-python.

Arguments: a GGUF file and a number of threads. For every line of standard input, a JSON object
{"ids": tokens of a prompt, "new": how many of them are typed since, "rows": sequences, "tokens":
of each}, it prints the seconds from the new tokens to the last one. llama.cpp has no beam search
any more: the sequences are the likeliest first tokens, each continued greedily, all in one batch
over the shared cells of the prompt.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import llama_cpp as llama
import numpy as np


class Sequences:
    def __init__(self, file: str, threads: int) -> None:
        llama.llama_backend_init()
        llama.llama_log_set(_SILENT, None)
        self.model = llama.llama_model_load_from_file(
            file.encode(), llama.llama_model_default_params()
        )
        options = llama.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch = 4096, 512, 512
        options.n_seq_max, options.kv_unified = 16, True
        options.n_threads = options.n_threads_batch = threads
        self.context = llama.llama_init_from_model(self.model, options)
        self.memory = llama.llama_get_memory(self.context)
        self.size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch = llama.llama_batch_init(512, 0, 1)

    def seconds(self, ids: list[int], *, new: int, rows: int, tokens: int) -> float:
        llama.llama_memory_clear(self.memory, True)
        known = len(ids) - new
        self._decode([(token, at, 0) for at, token in enumerate(ids[:known])])
        start = time.perf_counter()
        self._decode([(token, known + at, 0) for at, token in enumerate(ids[known:])])
        following = np.argsort(-self._logits(new - 1))[:rows].tolist()
        for row in range(1, rows):
            llama.llama_memory_seq_cp(self.memory, 0, row, -1, -1)
        for step in range(tokens - 1):
            self._decode([(t, len(ids) + step, row) for row, t in enumerate(following)], every=True)
            following = [int(self._logits(row).argmax()) for row in range(rows)]
        return time.perf_counter() - start

    def _decode(self, tokens: list[tuple[int, int, int]], *, every: bool = False) -> None:
        for first in range(0, len(tokens), 512):
            part = tokens[first : first + 512]
            for at, (token, position, row) in enumerate(part):
                self.batch.token[at], self.batch.pos[at] = token, position
                self.batch.n_seq_id[at], self.batch.seq_id[at][0] = 1, row
                self.batch.logits[at] = every or at == len(part) - 1
            self.batch.n_tokens = len(part)
            if llama.llama_decode(self.context, self.batch):
                raise RuntimeError("llama_decode failed")

    def _logits(self, at: int) -> Any:
        pointer = llama.llama_get_logits_ith(self.context, at)
        return np.ctypeslib.as_array(pointer, (self.size,))


@llama.llama_log_callback
def _SILENT(level: int, text: bytes, data: Any) -> None:  # noqa: N802
    """llama.cpp's own log is not for anyone here."""


def main() -> None:
    sequences = Sequences(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        print(sequences.seconds(**json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
