"""The adapters of a repository, and which of them is the Champion.

`<state>/adapters/<name>/` holds an adapter's two files and its manifest; it appears whole by one
rename. `<state>/adapters/CHAMPION.json` names the Champion and every change of it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from p2assist import __version__
from p2assist.errors import AdapterError, ModelError
from p2assist.learning.evaluate import Summary
from p2assist.learning.gate import Decision
from p2assist.learning.storage import file_digest, model_digest, write_atomic

WEIGHTS, CONFIG, MANIFEST = "adapter_model.safetensors", "adapter_config.json", "manifest.json"
_POINTER, _LOCK, _PART = "CHAMPION.json", ".lock", ".part-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Base:
    """The base model that adapters are made for: the name it is configured by, and a digest of
    its config and weights."""

    name: str
    digest: str

    @classmethod
    def from_model(cls, name: str, place: str) -> Base:
        """place: the model's folder, or its hub name where it is in the local cache.

        Raises ModelError where it is neither.
        """
        folder = Path(place)
        if not folder.is_dir():
            from huggingface_hub import try_to_load_from_cache

            cached = try_to_load_from_cache(place, "config.json")
            folder = Path(cached).parent if isinstance(cached, str) else folder
        try:
            return cls(name, model_digest(folder))
        except (OSError, ValueError) as error:
            raise ModelError(
                f"the model {name!r} cannot be read ({error}): check `model`; one of the hub must "
                f"be fetched first (hf download {place})"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an adapter is made of and how it did.

    parent: the Champion it was measured against, '' for the base model; its weights start from
    the base model in any case. data: digest of the training examples. sources: examples by
    Experience.source. training: what finetune reported. champion, challenger: the evaluations'
    summaries. files: name -> SHA-256.
    """

    base: Base
    data: str
    objective: str
    seed: int
    settings: Mapping[str, Any]
    parent: str = ""
    name: str = ""
    sources: Mapping[str, int] = field(default_factory=dict)
    training: Mapping[str, float] = field(default_factory=dict)
    champion: Summary = field(default_factory=dict)
    challenger: Summary = field(default_factory=dict)
    decision: Decision | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    version: str = __version__
    files: Mapping[str, str] = field(default_factory=dict)
    schema: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter in the registry. path: the folder that peft loads."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.manifest.name


@dataclass(frozen=True, slots=True)
class ChampionChange:
    """One change of the Champion; name is '' for the base model."""

    name: str
    kind: Literal["promote", "rollback"]
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class _Pointer:
    """stack: the Champions from the base model ('') to the one that serves."""

    stack: tuple[str, ...] = ("",)
    history: tuple[ChampionChange, ...] = ()


_MANIFESTS = TypeAdapter(Manifest)
_POINTERS = TypeAdapter(_Pointer)


class Registry:
    """The adapters below a state folder. Safe against kill -9 and a second process; it trusts
    whoever can write to the folder: digests find damage, not forgery."""

    def __init__(self, state: Path) -> None:
        self.root = state / "adapters"

    def name_for(self, source: Path) -> str:
        """The name of the adapter in the folder: the one it is registered by, or a new one."""
        digest = self._digests(source)[WEIGHTS]
        for adapter in self.list():
            if adapter.manifest.files.get(WEIGHTS) == digest:
                return adapter.name
        day = datetime.now(UTC).date().isoformat()
        names = (f"{day}-{digest[:size]}" for size in (6, 12, 64))
        return next(name for name in names if not (self.root / name).exists())

    def add(self, source: Path, manifest: Manifest) -> Adapter:
        """Copy the adapter in the folder source into the registry; its name, digests and date
        are filled in. The same weights again give the adapter that is there.

        Raises AdapterError where source holds no adapter.
        """
        with self._locked():
            name = self.name_for(source)
            place = self.root / name
            if place.exists():
                return self.get(name)
            for left in self.root.glob(_PART + "*"):  # of a killed process
                shutil.rmtree(left)
            part = self.root / (_PART + name)
            part.mkdir()
            for file in (WEIGHTS, CONFIG):
                shutil.copyfile(source / file, part / file)
            full = replace(manifest, name=name, files=self._digests(part))
            (part / MANIFEST).write_bytes(_MANIFESTS.dump_json(full, indent=1))
            part.rename(place)
            return Adapter(place, full)

    def list(self) -> list[Adapter]:
        """The adapters with a sound manifest, oldest first; their weights are not read."""
        found = []
        for place in self._places():
            try:
                found.append(self._read(place))
            except AdapterError:
                continue  # damaged() tells of it
        return sorted(found, key=lambda adapter: (adapter.manifest.created, adapter.name))

    def damaged(self) -> dict[str, str]:
        """Name -> what is wrong, for every adapter that get() would refuse. Reads all weights."""
        wrong = {}
        for place in self._places():
            try:
                self.get(place.name)
            except AdapterError as error:
                wrong[place.name] = str(error)
        return wrong

    def get(self, name: str, base: Base | None = None) -> Adapter:
        """The adapter of that name, its files checked against their digests.

        base: the model it is to serve with. Raises AdapterError where it is missing, damaged or
        made for another base model.
        """
        place = self.root / name
        if not _NAME.fullmatch(name) or not place.is_dir():
            raise AdapterError(f"no adapter {name!r}: `p2assist adapters ls` shows what there is")
        adapter = self._read(place)
        files = adapter.manifest.files
        if set(files) != {WEIGHTS, CONFIG} or self._digests(place) != files:
            raise _damaged(name, "a file differs from its digest")
        made_for = adapter.manifest.base
        if base is not None and made_for.digest != base.digest:
            raise AdapterError(
                f"the adapter {name} was made for another base model ({made_for.name}, digest "
                f"{made_for.digest[:12]}) than {base.name} ({base.digest[:12]}): set `model` to "
                f"that one, or train an adapter for this one with `p2assist refresh`"
            )
        return adapter

    def champion(self, base: Base | None = None) -> Adapter | None:
        """The serving adapter, None for the base model. Raises AdapterError as get() does."""
        name = self._pointer().stack[-1]
        return self.get(name, base) if name else None

    @property
    def champion_name(self) -> str:
        """The name of the serving adapter, '' for the base model; nothing is checked."""
        return self._pointer().stack[-1]

    def history(self) -> tuple[ChampionChange, ...]:
        """Every change of the Champion, oldest first."""
        return self._pointer().history

    def promote(self, name: str, reason: str, base: Base | None = None) -> Adapter:
        """Make the adapter the Champion. Raises AdapterError as get() does."""
        with self._locked():
            adapter = self.get(name, base)
            pointer = self._pointer()
            if pointer.stack[-1] != name:
                self._point((*pointer.stack, name), "promote", reason)
            return adapter

    def rollback(self, reason: str = "asked for") -> Adapter | None:
        """Go back to the Champion before; None where that is the base model. Earlier ones that
        are damaged are passed over.

        Raises AdapterError where the base model serves already.
        """
        with self._locked():
            stack = self._pointer().stack
            if len(stack) == 1:
                raise AdapterError("the base model serves already: there is nothing to go back to")
            while True:
                stack = stack[:-1]
                try:
                    adapter = self.get(stack[-1]) if stack[-1] else None
                    break
                except AdapterError as error:
                    reason = f"{reason}; passed over: {error}"
            self._point(stack, "rollback", reason)
            return adapter

    def _point(
        self, stack: tuple[str, ...], kind: Literal["promote", "rollback"], reason: str
    ) -> None:
        change = ChampionChange(stack[-1], kind, reason, datetime.now(UTC))
        pointer = _Pointer(stack, (*self._pointer().history, change))
        write_atomic(self.root / _POINTER, _POINTERS.dump_json(pointer, indent=1).decode())

    def _pointer(self) -> _Pointer:
        file = self.root / _POINTER
        try:
            pointer = _POINTERS.validate_json(file.read_bytes())
        except FileNotFoundError:
            return _Pointer()
        except ValidationError as error:
            raise AdapterError(
                f"{file} is damaged: remove it to serve the base model, then "
                f"`p2assist adapters promote` the adapter you want"
            ) from error
        return pointer if pointer.stack else _Pointer(history=pointer.history)

    def _read(self, place: Path) -> Adapter:
        try:
            manifest = _MANIFESTS.validate_json((place / MANIFEST).read_bytes())
        except (OSError, ValidationError) as error:
            raise _damaged(place.name, "its manifest cannot be read") from error
        if manifest.name != place.name:
            raise _damaged(place.name, f"its manifest is that of {manifest.name}")
        return Adapter(place, manifest)

    def _digests(self, folder: Path) -> dict[str, str]:
        try:
            json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            return {file: file_digest(folder / file) for file in (WEIGHTS, CONFIG)}
        except (OSError, ValueError) as error:
            raise _damaged(folder.name, str(error)) from error

    def _places(self) -> Iterator[Path]:
        if self.root.is_dir():
            for place in sorted(self.root.iterdir()):
                if place.is_dir() and _NAME.fullmatch(place.name):
                    yield place

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / _LOCK, timeout=60):
            yield


def _damaged(name: str, what: str) -> AdapterError:
    return AdapterError(
        f"the adapter {name} is damaged ({what}): if it serves, `p2assist adapters rollback`; "
        f"then remove its folder, and train a new one with `p2assist refresh`"
    )
