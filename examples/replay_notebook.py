"""Read a replay store from Python.

    python examples/replay_notebook.py [.p2assist/replay.db]

Run it as it is, or cell by cell in an editor that knows `# %%`. The store may be in use
meanwhile: it is only read here.
"""

# %% Open the store
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from p2assist.errors import P2AssistError
from p2assist.p2value import preset
from p2assist.replay.buffer import Buffer
from p2assist.replay.samplers import SAMPLERS, sampler
from p2assist.replay.store import Store

console = Console()
given = [argument for argument in sys.argv[1:] if argument.endswith(".db")]
file = Path(given[0] if given else ".p2assist/replay.db")
if not file.is_file():
    sys.exit(f"{file} is not there: run `p2assist practice` first, or give the path of a store")
try:
    store = Store.open(f"sqlite:///{file.resolve()}")
except P2AssistError as error:
    sys.exit(str(error))


def show(title: str, header: list[str], rows: list[list[object]]) -> None:
    table = Table(*header, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row))
    console.print(table)


# %% What is there
stats = store.stats()
counts = ["tasks", "candidates", "distinct", "tested", "passing_all", "untested"]
show("The store", ["", "count"], [[name, getattr(stats, name)] for name in counts])

# %% Every number of every experience, as numpy columns
columns = store.columns()
tested = columns.take(columns.tested)
values = tested.p2values(preset("default"))

# %% Which functions are hard: mean pass rate, lowest first
hard = [
    [
        tested.keys[i],
        int(mine.sum()),
        float(tested.pass_rate[mine].mean()),
        float(values[mine].max()),
    ]
    for i in np.unique(tested.function).tolist()
    if (mine := tested.function == i).any()
]
hard.sort(key=lambda row: row[2])
show("Hardest functions", ["function", "tested", "mean pass rate", "best P2Value"], hard[:10])

# %% Does the model know what is right? Pass rate by what it gives a candidate
edges = np.linspace(0, 1, 6)
possibility = np.exp(tested.logprob / np.maximum(tested.num_tokens, 1))
place = np.clip(np.digitize(possibility, edges) - 1, 0, 4)
rows: list[list[object]] = [
    [f"{edges[i]:.1f} - {edges[i + 1]:.1f}", int(mine.sum()), float(tested.pass_rate[mine].mean())]
    for i in range(5)
    if (mine := place == i).any()
]
show("Possibility and tests", ["possibility", "tested", "mean pass rate"], rows)

# %% What each sampler would draw: the share of its batch that passes everything
rng = np.random.default_rng(0)
drawn: list[list[object]] = []
for name in SAMPLERS if len(tested) else ():
    rate = columns.pass_rate[sampler(name).sample(columns, 1000, rng).indices]
    drawn.append([name, float(rate.mean()), float((rate == 1).mean())])
show("A batch of 1000", ["sampler", "mean pass rate", "share passing all"], drawn)

# %% A few whole experiences, drawn by P2Value as a refresh draws them
batch = Buffer(store, preset("default")).sample(5, seed=0)
lines: list[list[object]] = [
    [e.key[:10], f"{e.task.path}:{e.task.line}", e.source, e.candidate.text.strip().split("\n")[0]]
    for e, _ in batch
]
show("A draw", ["key", "place", "source", "text"], lines)

# %% Which tests fail most
failing = Counter(
    node_id for e in store.experiences(tested=True) if e.report for node_id in e.report.failing
)
show("Failing tests", ["test", "candidates"], [list(pair) for pair in failing.most_common(10)])

# %%
store.close()
