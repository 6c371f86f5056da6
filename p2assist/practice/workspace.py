"""A repository with everything that belongs to it, each part made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from p2assist.config import Config
from p2assist.errors import ModelError
from p2assist.experience import Task
from p2assist.generation.location import locate
from p2assist.generation.serve.client import ModelProcess, Say, ServedGenerator
from p2assist.generation.serve.place import supported
from p2assist.harness import baseline
from p2assist.harness import impact as impact_map
from p2assist.harness.green import Contents, GreenTree
from p2assist.harness.impact import ImpactMap
from p2assist.harness.interpreter import find_python
from p2assist.harness.tester import WarmTester
from p2assist.learning.registry import Base, Registry
from p2assist.replay import redaction
from p2assist.replay.provenance import current_commit
from p2assist.tasks import mining, splits
from p2assist.tasks.splits import Split, function_key

if TYPE_CHECKING:
    from p2assist.generation.context import ContextSource
    from p2assist.generation.generator import Generator
    from p2assist.generation.local import LocalGenerator
    from p2assist.generation.remote.generator import RemoteGenerator
    from p2assist.generation.typed_ahead import TypedAhead
    from p2assist.replay.store import Store

Chosen = tuple[Path | None, str]  # an adapter's folder and name; (None, '') for the base model
CONFIRMED = 0.005  # share of the warm verdicts that plain pytest is asked about, too
Progress = Callable[[str, float], None]  # what is being done, and the share of it, 0..1


@contextmanager
def _silent() -> Iterator[Progress]:
    yield lambda what, share: None


class _Champion:
    """The Champion's folder and name at each call; its files are checked when it is a new one."""

    def __init__(self, registry: Registry, base: Base) -> None:
        self._registry, self._base = registry, base
        self._known: Chosen = (None, "")

    def __call__(self) -> Chosen:
        if self._registry.champion_name != self._known[1]:
            found = self._registry.champion(self._base)
            self._known = (found.path, found.name) if found else (None, "")
        return self._known


class Workspace:
    """Use as a context manager: leaving it closes the store and the tester.

    bars: gives a context in which the slow parts say how far they are.
    """

    def __init__(
        self, config: Config, *, bars: Callable[[], AbstractContextManager[Progress]] = _silent
    ) -> None:
        self.config = config
        self._bars = bars

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if "tester" in self.__dict__:
            self.tester.close()
        if "store" in self.__dict__:
            self.store.close()

    @cached_property
    def impact(self) -> ImpactMap:
        """The map of functions to tests, brought up to date where a file has changed, or where
        a quarantined test is to be looked at again."""
        known = impact_map.load(self.config)
        if known is None or known.python != str(find_python(self.config)):
            return self.remap()
        if known.fresh(self.config.root) and not baseline.due(known):
            return known
        with self._bars() as told:
            return self.keep(impact_map.update(self.config, known, progress=told))

    def remap(self) -> ImpactMap:
        """Runs the whole suite and keeps the new map; of older trees nothing is kept."""
        with self._bars() as told:
            made = impact_map.build(self.config, progress=told)
        self.keep(made)
        Contents(self.config).drop_others(made.files.values())
        return made

    def keep(self, made: ImpactMap) -> ImpactMap:
        """Makes it the workspace's map, now and next time."""
        made.save(self.config)
        self._leave_state_out_of_git()
        self.__dict__["impact"] = made
        return made

    @cached_property
    def store(self) -> Store:
        from p2assist.replay.store import Store  # an editor's first answer does not wait for it

        opened = Store.open(self.config.store_url)
        self._leave_state_out_of_git()
        return opened

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.config.state)

    @cached_property
    def tester(self) -> WarmTester:
        return WarmTester(
            self.config,
            self.impact,
            overlay=GreenTree(self.config, self.impact),
            sample=CONFIRMED,
            clean=redaction.report,
        )

    @cached_property
    def split(self) -> Split:
        learning = self.config.team.learning
        files = mining.sources(self.config, self.impact)
        return splits.split(files, learning.held_out, learning.seed)

    def tasks(self, *, paths: Sequence[str] = (), seed: int = 0) -> Iterator[Task]:
        """Tasks to practise: of functions that may be trained on."""
        for task in self._mined(paths, seed):
            if self.split.may_train(function_key(task)):
                yield task

    def fresh_tasks(
        self, generator: Generator, *, paths: Sequence[str] = (), limit: int | None = None
    ) -> list[Task]:
        """The next tasks that this model and adapter have not practised yet."""
        done = self.store.practised(generator.model, generator.adapter)
        fresh = (task for task in self.tasks(paths=paths) if task.key not in done)
        return list(islice(fresh, limit))

    def held_out_tasks(
        self, *, paths: Sequence[str] = (), limit: int | None = None, seed: int = 0
    ) -> list[Task]:
        """Tasks of held-out functions, taking turns, the same ones for the same seed."""
        mined = self._mined(paths, seed)
        return list(islice((t for t in mined if self.split.held_out(function_key(t))), limit))

    @cached_property
    def model_place(self) -> str:
        """What transformers loads for the configured model: a folder or a hub name."""
        return locate(self.config.model)

    @cached_property
    def base(self) -> Base:
        return Base.from_model(self.config.model, self.model_place)

    def generator(self, adapter: str | None = None) -> LocalGenerator | RemoteGenerator:
        """The model with the Champion, or with the adapter of that name; '' for the base model.

        Where the user's settings name a server it is asked instead: adapter is then one of those
        that it serves, and None the one that the settings name.
        """
        remote = self.config.user.remote
        if remote.url:
            try:
                from p2assist.generation.remote.generator import RemoteGenerator
            except ImportError as error:
                raise ModelError("a server needs `pip install 'p2assist[remote]'`") from error
            name = remote.adapter if adapter is None else adapter
            return RemoteGenerator(remote, adapter=name, generation=self.config.team.generation)
        if adapter is None:
            chosen = self.registry.champion(self.base)
        else:
            chosen = self.registry.get(adapter, self.base) if adapter else None
        return self.load(chosen.path if chosen else None, chosen.name if chosen else "")

    def completer(
        self, adapter: str | None = None, *, window: str = "", say: Say | None = None
    ) -> TypedAhead:
        """The generator of completions for people: post-processed, and kept for typing ahead.

        It asks the user's model process, where that is on. window: of an editor, whose newer
        requests supersede older ones. say: told why an answer takes a while.
        """
        from p2assist.generation.postprocess import Postprocessed
        from p2assist.generation.typed_ahead import TypedAhead

        user = self.config.user
        shared = user.serve.enabled and supported() and not user.remote.url
        inner: Generator = self.generator(adapter) if not shared else self.served(adapter)
        if isinstance(inner, ServedGenerator):
            inner = replace(inner, window=window, say=say)
        return TypedAhead(Postprocessed(inner))

    @cached_property
    def context(self) -> ContextSource:
        """Repository context for completions. Practice and evaluation are asked without: a
        held-out function must not be in a prompt by way of another file."""
        from p2assist.generation.context import ContextSource

        return ContextSource(self.config.root)

    @cached_property
    def process(self) -> ModelProcess:
        """The user's model process; nothing is started yet."""
        return ModelProcess(idle=self.config.user.serve.idle)

    def served(self, adapter: str | None = None) -> ServedGenerator:
        """The same as generator(), by the user's model process: no torch here, and no waiting
        where an editor has it loaded. With adapter None a new Champion serves the next request.

        Practice, evaluation and refresh take generator(): they keep the processor busy for long,
        with adapters that nobody else wants, and would stand between an editor and its answers.
        """
        chosen = _Champion(self.registry, self.base) if adapter is None else self._fixed(adapter)
        settings = self.config.team.generation
        return ServedGenerator(self.config.model, self.process, settings=settings, chosen=chosen)

    def _fixed(self, name: str) -> Callable[[], Chosen]:
        chosen = self.registry.get(name, self.base) if name else None
        return lambda: (chosen.path, chosen.name) if chosen else (None, "")

    def load(self, adapter: Path | None, name: str) -> LocalGenerator:
        """The model with the adapter in that folder. Imports torch: the one slow import."""
        from p2assist.generation.local import LocalGenerator

        config = self.config
        return LocalGenerator.load(
            config.model, adapter=adapter, adapter_name=name, config=config.team.generation
        )

    def adapters(self) -> list[dict[str, object]]:
        """Every adapter, oldest first, with what a list shows of it."""
        champion, damaged = self.registry.champion_name, self.registry.damaged()
        rows: list[dict[str, object]] = [
            {
                "name": adapter.name,
                "champion": adapter.name == champion,
                "model": adapter.manifest.base.name,
                "created": f"{adapter.manifest.created:%Y-%m-%d %H:%M}",
                "note": damaged.pop(adapter.name, "")
                or (adapter.manifest.decision.reason if adapter.manifest.decision else ""),
            }
            for adapter in self.registry.list()
        ]
        for name, wrong in damaged.items():
            rows.append({"name": name, "champion": name == champion, "note": wrong})
        return rows

    def _mined(self, paths: Sequence[str], seed: int) -> Iterator[Task]:
        commit = current_commit(self.config.root)
        return mining.mine(self.config, self.impact, paths=paths, seed=seed, commit=commit)

    def _leave_state_out_of_git(self) -> None:
        """The state folder ignores itself: an editor works in repositories that nobody prepared."""
        file = self.config.state / ".gitignore"
        if self.config.state.is_dir() and not file.exists():
            with suppress(OSError):  # a full disk: what matters is said where it is written
                file.write_text("*\n", encoding="utf-8")
