"""What the client sets, as PROTOCOL.md has it; a bad value is told, and the default holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as checked

_FORM = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)
Milliseconds = Annotated[int, Field(ge=0, le=60_000)]


@checked(config=_FORM, kw_only=True)
class Debounce:
    """Milliseconds of quiet before the model is asked; the server adapts between them."""

    least: Milliseconds = 25
    most: Milliseconds = 350


@checked(config=_FORM, kw_only=True)
class Settings:
    """See lsp/PROTOCOL.md for what each of them does."""

    trusted: bool | tuple[str, ...] = False
    python: str = ""
    enabled: bool = True
    beams: Annotated[int, Field(ge=1, le=64)] = 8
    automatic: bool = True
    show: Literal["at once", "with evidence"] = "at once"
    patience: Milliseconds = 400
    hide_failing: bool = False
    in_comments: bool = True
    in_strings: bool = True
    exclude: tuple[str, ...] = ()
    debounce: Debounce = field(default_factory=Debounce)
    feedback: bool = True
    editor: str = ""

    def trusts(self, folder: Path) -> bool:
        """Whether everything, the folder or one above it is trusted."""
        if isinstance(self.trusted, bool):
            return self.trusted
        given = (Path(name).expanduser() for name in self.trusted)
        return any(path.is_absolute() and folder.is_relative_to(path.resolve()) for path in given)


@dataclass(frozen=True, slots=True)
class Read:
    """settings, and what was wrong with what was given, in words for people."""

    settings: Settings
    problems: tuple[str, ...] = ()


_NAMES = {to_camel(one.name) for one in fields(Settings)}
_SETTINGS = TypeAdapter(Settings)


def read(given: object) -> Read:
    """The settings of a client's object; each bad one is left out and told."""
    if given is None:
        return Read(Settings())
    if not isinstance(given, Mapping):
        return Read(Settings(), (f"the settings of p2assist are no object: {given!r:.80}",))
    good: dict[str, Any] = {}
    problems = []
    for name, value in given.items():
        if name not in _NAMES:
            problems.append(f"p2assist has no setting {name!r:.40}")
            continue
        try:
            _SETTINGS.validate_python({name: value})
        except ValidationError as error:
            words = error.errors(include_url=False)[0]["msg"]
            problems.append(f"p2assist.{name} = {value!r:.60}: {words}; the default holds")
        else:
            good[name] = value
    return Read(_SETTINGS.validate_python(good), tuple(problems))
