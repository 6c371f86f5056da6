"""The command line: wiring only.

Exit codes: 0 done, 1 p2assist cannot do it (the message says what to do), 2 wrong usage,
130 interrupted. With --json stdout holds one JSON value and nothing else; progress and messages
go to stderr.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from p2assist import __version__
from p2assist.errors import ConfigError, ModelError, P2AssistError
from p2assist.experience import SpanKind

if TYPE_CHECKING:
    from p2assist.practice.workspace import Workspace

app = typer.Typer(
    name="p2assist",
    help="Code completion for Python that has already run the tests.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
replay_app = typer.Typer(help="Read the replay store.", no_args_is_help=True)
adapters_app = typer.Typer(help="List and choose LoRA adapters.", no_args_is_help=True)
app.add_typer(replay_app, name="replay")
app.add_typer(adapters_app, name="adapters")

Repo = Annotated[Path, typer.Option("--repo", help="The repository's root.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value instead of tables.")]
Model = Annotated[str, typer.Option("--model", help="'pocket', a hub name or a path.")]
Python = Annotated[str, typer.Option("--python", help="The interpreter of the project's tests.")]
Paths = Annotated[list[str] | None, typer.Option("--paths", help="Only these files (a glob).")]
Opened = Annotated[
    list[Path] | None, typer.Option("--open", help="A file that is open in the editor.")
]
Beams = Annotated[int, typer.Option("--beams", min=1, max=64, help="Candidates to ask for.")]
AdapterName = Annotated[
    str, typer.Option("--adapter", help="Its name; 'none' for the base model. [the Champion]")
]
HERE = Path()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"p2assist {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Code completion for Python that has already run the tests."""


@app.command(epilog="Example: p2assist init --repo ~/src/shop")
def init(
    again: Annotated[
        bool, typer.Option("--again", help="Map the tests anew, whatever is known of them.")
    ] = False,
    repo: Repo = HERE,
    python: Python = "",
    as_json: Json = False,
) -> None:
    """Find the tests, map lines to tests, check isolation, write the settings."""
    from p2assist.practice.setup import prepare
    from p2assist.report import tables

    with _workspace(repo, python=python) as space:
        done = prepare(space, again=again)
    _show(asdict(done), tables.pairs(done.lines()), as_json)


@app.command(epilog="Example: p2assist complete shop/cart.py:42 --test")
def complete(
    place: Annotated[str, typer.Argument(metavar="FILE:LINE[:COL]")],
    beams: Beams = 8,
    test: Annotated[bool, typer.Option("--test", help="Run the covering tests.")] = False,
    kind: Annotated[SpanKind, typer.Option("--kind", help="What to ask for.")] = SpanKind.LINE,
    opened: Opened = None,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="What the model would be shown, and no more.")
    ] = False,
    repo: Repo = HERE,
    model: Model = "",
    adapter: AdapterName = "",
    python: Python = "",
    as_json: Json = False,
) -> None:
    """Candidates for a place: from COL (or the indentation) to the end of the line."""
    from p2assist.practice.place import Place, opened_files, task_at
    from p2assist.report import prompts, records, tables

    with _workspace(repo, model=model, python=python) as space:
        task = task_at(space.config, Place.parse(place), kind, space.impact if test else None)
        context = space.context.of(task, opened=opened_files(space.config, opened or ()))
        if show_prompt:
            sections = space.generator(_adapter(adapter)).encoder.sections(task, context)
            _show(prompts.to_json(sections), prompts.table(sections, context), as_json)
            return
        completer = space.completer(_adapter(adapter), say=_say)
        candidates = completer.generate(task, beams=beams, context=context)
        reports: list[Any] = [None] * len(candidates)
        if test:
            reports = list(space.tester.test_many((task, c.text) for c in candidates))
        rows = records.ranked(candidates, reports, space.config.team.p2value)
    _show([row.to_json() for row in rows], tables.candidates(rows, tested=test), as_json)


@app.command(epilog="Example: p2assist practice --tasks 200 --paths 'src/**'")
def practice(
    tasks: Annotated[
        int | None, typer.Option("--tasks", min=1, help="Stop after so many. [all]")
    ] = None,
    paths: Paths = None,
    beams: Beams = 8,
    repo: Repo = HERE,
    model: Model = "",
    python: Python = "",
    as_json: Json = False,
) -> None:
    """Complete and test spans of the repository's own code; keep what happened.

    Ctrl-C stops it cleanly; the next run goes on where it was.
    """
    from p2assist.practice.driver import Tally, practise
    from p2assist.report import progress, tables

    latest = Tally()
    stopped = False
    with _workspace(repo, model=model, python=python) as space:
        tester = space.tester
        tester.start()  # it imports and collects while the model is loaded
        generator = space.generator()
        todo = space.fresh_tasks(generator, paths=paths or (), limit=tasks)
        since = time.monotonic()
        with progress.counts(_console(stderr=True)) as told:

            def keep(tally: Tally) -> None:
                nonlocal latest
                latest = tally
                rate = progress.per_second(tally.candidates, since)
                note = f"{tally.candidates} candidates ({rate}), {tally.passing_all} pass all"
                told("practice", tally.tasks + tally.unusable, len(todo), note)

            try:
                practise(generator, tester, space.store, todo, beams=beams, progress=keep)
            except KeyboardInterrupt:
                stopped = True
        drifts = tester.drifts
    _show(asdict(latest), tables.pairs(asdict(latest)), as_json)
    for drift in drifts:
        where = f"{drift.task.path}:{drift.task.line}"
        said = f"plain pytest contradicted a verdict ({drift.level}) at {where}: {drift.tests[0]}"
        _console(stderr=True).print(said, markup=False)
    if stopped:
        _console(stderr=True).print("stopped; everything above is stored: run it again to go on")
        raise typer.Exit(130)


@app.command(epilog="Example: p2assist refresh --tasks 200")
def refresh(
    tasks: Annotated[int, typer.Option("--tasks", min=1, help="Held-out tasks at most.")] = 300,
    repo: Repo = HERE,
    model: Model = "",
    python: Python = "",
    as_json: Json = False,
) -> None:
    """Fine-tune a Challenger by prioritized replay; promote it if it is better than the Champion.

    Killed at any time, the next run goes on from the last checkpoint.
    """
    from p2assist.practice.refreshing import refresh_workspace
    from p2assist.report import progress, records, tables

    with _workspace(repo, model=model, python=python) as space:
        held = space.held_out_tasks(limit=tasks)
        with progress.counts(_console(stderr=True)) as told:
            result = refresh_workspace(space, held, progress=told)
    _show(records.refreshed(result), tables.refreshed(result), as_json)


@app.command(epilog="Example: p2assist evaluate --adapter none")
def evaluate(
    tasks: Annotated[int, typer.Option("--tasks", min=1, help="Held-out tasks at most.")] = 300,
    beams: Beams = 8,
    repo: Repo = HERE,
    model: Model = "",
    adapter: AdapterName = "",
    python: Python = "",
    as_json: Json = False,
) -> None:
    """pass@k, samples to pass and pass rate on held-out functions."""
    from p2assist.learning.evaluate import evaluate as run
    from p2assist.report import progress, tables

    with _workspace(repo, model=model, python=python) as space:
        generator, held = space.generator(_adapter(adapter)), space.held_out_tasks(limit=tasks)
        with progress.counts(_console(stderr=True)) as told:
            result = run(
                generator,
                space.tester,
                held,
                k=beams,
                progress=lambda done, total: told("evaluate", done, total, ""),
            )
    summary = result.summary()
    _show(summary, tables.pairs(summary), as_json)


@app.command(epilog="Example: p2assist status")
def status(repo: Repo = HERE, as_json: Json = False) -> None:
    """What is there: settings, map, store, Champion."""
    from p2assist.practice.status import status as look
    from p2assist.report import tables

    with _workspace(repo) as space:
        found = look(space)
    _show(found, tables.pairs(found), as_json)


@app.command(epilog="Example: p2assist serve --status")
def serve(
    show: Annotated[bool, typer.Option("--status", help="How it is, without starting it.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Have it finish and leave.")] = False,
    idle: Annotated[
        float, typer.Option("--idle", min=0, help="Leave after so many seconds. [the settings']")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """The user's model process: it holds the model for every editor window and command.

    It is started when it is first needed and leaves when idle; by hand it runs in the foreground.
    """
    from p2assist.config import load_user
    from p2assist.generation.serve import process
    from p2assist.generation.serve.client import ModelProcess
    from p2assist.generation.serve.place import Place
    from p2assist.report import records, tables

    if stop:
        found: dict[str, object] = {"stopped": ModelProcess().stop()}
        _show(found, "it has left" if found["stopped"] else "none runs", as_json)
    elif show:
        report = ModelProcess().status()
        _show(records.process(report), tables.process(report), as_json)
    elif process.serve(Place.of_user(), idle=idle or load_user().serve.idle):
        raise ModelError("a model process runs already: `p2assist serve --status` shows it")


@app.command(epilog="Example: p2assist lsp")
def lsp() -> None:
    """The language server, on standard input and output: editors start it."""
    import runpy

    try:
        runpy.run_module("p2assist_lsp", run_name="__main__")
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}: install it with pip install 'p2assist[lsp,model]'") from error


@app.command(epilog="Example: p2assist doctor --json")
def doctor(repo: Repo = HERE, python: Python = "", as_json: Json = False) -> None:
    """Check what p2assist needs here, isolation first; exits 1 where something is missing."""
    from p2assist.harness.doctor import checks
    from p2assist.report import tables

    with _workspace(repo, python=python) as space:
        rows = checks(space.config)
    cells = [(c.name, c.ok, c.detail, c.remedy) for c in rows]
    _show([asdict(c) for c in rows], tables.checks(cells), as_json)
    if not all(c.ok for c in rows):
        raise typer.Exit(1)


@replay_app.command("ls", epilog="Example: p2assist replay ls --path shop/cart.py")
def replay_ls(
    path: Annotated[str, typer.Option("--path", help="Only of this file.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 30,
    repo: Repo = HERE,
    as_json: Json = False,
) -> None:
    """The newest experiences."""
    from p2assist.replay.serial import to_json
    from p2assist.report import records, tables

    with _workspace(repo) as space:
        found = list(space.store.newest(limit, path=path or None))
        rows = [(e, records.of(e, space.config.team.p2value)) for e in found]
    _show([to_json(e) for e in found], tables.experiences(rows), as_json)


@replay_app.command("show", epilog="Example: p2assist replay show 3f9a1c")
def replay_show(
    key: Annotated[str, typer.Argument(help="An experience's key, or its beginning.")],
    repo: Repo = HERE,
    as_json: Json = False,
) -> None:
    """One experience whole: code, tests, feedback."""
    from p2assist.replay.serial import to_json
    from p2assist.report import records, tables

    with _workspace(repo) as space:
        one = space.store.get(key)
        shown = tables.experience(one, records.of(one, space.config.team.p2value))
    _show(to_json(one), shown, as_json)


@replay_app.command("stats", epilog="Example: p2assist replay stats --json")
def replay_stats(repo: Repo = HERE, as_json: Json = False) -> None:
    """Counts of the whole store."""
    from p2assist.report import tables

    with _workspace(repo) as space:
        found = asdict(space.store.stats())
    _show(found, tables.pairs(found), as_json)


@replay_app.command("export", epilog="Example: p2assist replay export --output all.jsonl")
def replay_export(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="[stdout]")] = None,
    repo: Repo = HERE,
) -> None:
    """Every experience as JSON lines."""
    with _workspace(repo) as space:
        if output is None:
            space.store.export(sys.stdout)
            return
        with output.open("w", encoding="utf-8") as stream:
            space.store.export(stream)


@adapters_app.command("ls", epilog="Example: p2assist adapters ls")
def adapters_ls(repo: Repo = HERE, as_json: Json = False) -> None:
    """Every adapter, the Champion marked."""
    from p2assist.report import tables

    with _workspace(repo) as space:
        rows = space.adapters()
    _show(rows, tables.adapters(rows), as_json)


@adapters_app.command("show", epilog="Example: p2assist adapters show 2026-11-24-a1b2c3")
def adapters_show(
    name: Annotated[str, typer.Argument()], repo: Repo = HERE, as_json: Json = False
) -> None:
    """An adapter's manifest."""
    from p2assist.report import tables

    with _workspace(repo) as space:
        manifest = asdict(space.registry.get(name).manifest)
    _show(manifest, tables.pairs(manifest), as_json)


@adapters_app.command("promote", epilog="Example: p2assist adapters promote 2026-11-24-a1b2c3")
def adapters_promote(
    name: Annotated[str, typer.Argument()], repo: Repo = HERE, as_json: Json = False
) -> None:
    """Make an adapter the Champion by hand, past the gate."""
    with _workspace(repo) as space:
        space.registry.promote(name, "by hand")
    _show({"champion": name}, f"{name} is the Champion", as_json)


@adapters_app.command("rollback", epilog="Example: p2assist adapters rollback")
def adapters_rollback(repo: Repo = HERE, as_json: Json = False) -> None:
    """Go back to the Champion before this one, or to the base model."""
    with _workspace(repo) as space:
        before = space.registry.rollback()
    name = before.name if before else ""
    _show({"champion": name}, f"{name or 'the base model'} is the Champion", as_json)


@contextmanager
def _workspace(repo: Path, *, model: str = "", python: str = "") -> Iterator[Workspace]:
    from p2assist.config import load
    from p2assist.practice.workspace import Workspace
    from p2assist.report import progress

    config = load(repo, model=model, python=python)
    with Workspace(config, bars=lambda: progress.shares(_console(stderr=True))) as space:
        yield space


def _say(words: str) -> None:
    _console(stderr=True).print(f"{words} ...")


def _adapter(name: str) -> str | None:
    """None is the Champion, '' the base model: see Workspace.generator."""
    return {"": None, "none": ""}.get(name, name)


def _console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr)


def _show(value: object, table: RenderableType, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(value, default=str))
    else:
        _console().print(table)


def _fail(words: str, kind: str) -> NoReturn:
    if "--json" in sys.argv:
        typer.echo(json.dumps({"error": words, "kind": kind}))
    line = Text.assemble(("error: ", "bold red"), words)
    _console(stderr=True).print(line, soft_wrap=True)
    sys.exit(1)


def main() -> None:
    """The console script."""
    try:
        app(prog_name="p2assist")
    except P2AssistError as error:
        _fail(f"{error}", type(error).__name__)
    except OSError as error:  # a full disk, say: what was being written is whole or not there
        where = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror or error}{where}; nothing stored is lost", type(error).__name__)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
