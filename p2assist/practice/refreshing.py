"""A refresh of a workspace: its store, model, tester and held-out tasks put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from p2assist.experience import Source, Task
from p2assist.learning.refresh import Refresh, RefreshResult, Step
from p2assist.p2value import P2Settings
from p2assist.practice.workspace import Workspace
from p2assist.replay.buffer import Buffer

Counts = Callable[[str, int, int, str], None]  # what, done, of how many, a note
_STAGES = {"train": "fine-tune", "champion": "evaluate before", "challenger": "evaluate after"}


def refresh_workspace(
    space: Workspace, held_out: Sequence[Task], *, k: int = 8, progress: Counts | None = None
) -> RefreshResult:
    """Fine-tunes a Challenger on the workspace's experience and puts it before the gate.

    held_out: tasks of held-out functions. k: candidates for each. Raises what Refresh.run does.
    """
    config = space.config
    learning = config.team.learning
    generator = space.load(None, "")

    def step(at: Step) -> None:
        if progress:
            note = "" if at.loss is None else f"loss {at.loss:.3f}"
            progress(_STAGES[at.stage], at.done, at.total, note)

    return Refresh(
        state=config.state,
        base=space.base,
        model=space.model_place,
        load=space.load,
        buffer=drawable(space, config.team.p2value, beta=learning.beta),
        encoder=generator.encoder.within(learning.max_prompt_tokens),
        tester=space.tester,
        split=space.split,
        held_out=held_out,
        settings=learning,
        generation=config.team.generation,
        k=k,
        progress=step,
    ).run()


def drawable(
    space: Workspace,
    settings: P2Settings,
    *,
    sources: Collection[Source] | None = None,
    beta: float = 0.0,
) -> Buffer:
    """What may be learned from: of functions that are not held out, with the tests as they are
    now. The rest is as Buffer takes it."""
    return Buffer(
        space.store,
        settings,
        sources=sources,
        keep=space.split.may_train,
        digests={test.node_id: test.digest for test in space.impact.passing},
        beta=beta,
    )
