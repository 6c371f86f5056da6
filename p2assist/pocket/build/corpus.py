"""Stage 1: collect, clean, deduplicate and decontaminate the training text."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import sysconfig
import warnings
import zipfile
import zlib
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path

from rich.progress import track

from .cleaning import clean
from .decontaminate import HeldOut
from .recipe import CorpusRecipe
from .sources import Source, fetch, is_test, normalise, packages, standard_library

_SEEN_SHARE = 0.6  # of a file's telling lines that earlier files may hold
_TELLING = 24  # characters; shorter lines repeat anywhere
_PROCESSES = 2


@dataclass(frozen=True)
class Document:
    """One file of the corpus."""

    source: str
    path: str
    text: str


@dataclass(frozen=True)
class Candidate:
    """One file that may enter the corpus."""

    source: str
    path: str
    file: Path


@dataclass(frozen=True)
class Kept:
    """A cleaned candidate, and how many functions were cut out of it."""

    document: Document
    cut: int


@dataclass
class Tally:
    """What one package has given so far; cap and test_cap are characters."""

    source: Source
    cap: int
    test_cap: int
    files: int = 0
    characters: int = 0
    bytes: int = 0
    test_characters: int = 0
    cut: int = 0

    def admits(self, kept: Kept, seen: set[int]) -> bool:
        """Whether the file enters the corpus; if so it is counted and its lines are seen."""
        text, test = kept.document.text, is_test(kept.document.path)
        if self.characters + len(text) > self.cap:
            return False
        if test and self.test_characters + len(text) > self.test_cap:
            return False
        if text and _seen(text, seen):
            return False
        self.cut += kept.cut
        if not text:
            return False
        self.files += 1
        self.characters += len(text)
        self.bytes += len(text.encode())
        self.test_characters += len(text) if test else 0
        return True

    def row(self) -> dict[str, str | int]:
        """The manifest's entry."""
        return {
            "name": self.source.name,
            "version": self.source.version,
            "licence": self.source.licence,
            "files": self.files,
            "bytes": self.bytes,
            "functions_cut": self.cut,
        }


def documents(folder: Path) -> list[Document]:
    """The corpus that `collect` wrote to the folder."""
    with (folder / "corpus.jsonl").open(encoding="utf8") as lines:
        return [Document(**json.loads(line)) for line in lines]


def collect(recipe: CorpusRecipe, folder: Path) -> Path:
    """Write corpus.jsonl and manifest.json to the folder; done before, do nothing."""
    manifest = folder / "manifest.json"
    if manifest.exists():
        return manifest
    held = HeldOut(document.text for document in held_out_documents(recipe, folder))
    sources, refused = _sources(recipe, folder)
    random_ = random.Random(recipe.seed)  # noqa: S311 (no secret)
    seen: set[int] = set()
    tallies = []
    with (
        (folder / "corpus.tmp").open("w", encoding="utf8") as out,
        Pool(_PROCESSES, _start, (held,)) as pool,
    ):
        for source in track(sources, "corpus"):
            files = _candidates(source, random_)
            cap = recipe.caps.get(source.name, recipe.default_cap)
            tally = Tally(source, cap, int(cap * recipe.test_share))
            for kept in pool.imap(_keep, files, chunksize=16):
                if kept is not None and tally.admits(kept, seen):
                    out.write(json.dumps(asdict(kept.document), ensure_ascii=False) + "\n")
            tallies.append(tally)
    (folder / "corpus.tmp").rename(folder / "corpus.jsonl")
    record = {
        "held_out": list(recipe.held_out),
        "held_out_functions": len(held),
        "functions_cut": sum(tally.cut for tally in tallies),
        "characters": sum(tally.characters for tally in tallies),
        "files": sum(tally.files for tally in tallies),
        "refused": refused,
        "packages": [tally.row() for tally in tallies if tally.files],
    }
    manifest.write_text(json.dumps(record, indent=1) + "\n", "utf8")
    return manifest


def held_out_documents(recipe: CorpusRecipe, folder: Path) -> list[Document]:
    """Every Python file of the held-out packages."""
    wheels = folder / "held_out"
    if not wheels.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--dest", str(wheels), *recipe.held_out]
        subprocess.run(command, check=True)
    found = []
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".py"):
                    package = normalise(wheel.name.split("-")[0])
                    found.append(Document(package, name, archive.read(name).decode("utf8")))
    return found


def _sources(recipe: CorpusRecipe, folder: Path) -> tuple[list[Source], list[str]]:
    site = folder / "site"
    if not site.exists():
        fetch(recipe.requirements, site, folder / "pip.log")
    found, refused = packages([Path(sysconfig.get_path("purelib")), site])
    held = {normalise(requirement.split("==")[0]) for requirement in recipe.held_out}
    return [standard_library(), *(s for s in found if s.name not in held)], refused


def _candidates(source: Source, random_: random.Random) -> list[Candidate]:
    files = list(source.files)
    random_.shuffle(files)
    return [Candidate(source.name, path, source.root / path) for path in files]


_held: HeldOut  # one per worker process


def _start(held: HeldOut) -> None:
    global _held
    _held = held
    warnings.simplefilter("ignore")  # the corpus's invalid escapes are not ours to fix


def _keep(candidate: Candidate) -> Kept | None:
    try:
        cleaned = clean(candidate.file.read_text("utf8"))
    except (OSError, UnicodeDecodeError):
        return None
    if cleaned is None:
        return None
    text, tree = cleaned
    cut = _held.cut(tree, text)
    return Kept(Document(candidate.source, candidate.path, cut.text), len(cut.removed))


def _seen(text: str, seen: set[int]) -> bool:
    """Whether most of the text's telling lines are in seen; if not, they are added."""
    stripped = {line.strip() for line in text.split("\n")}
    lines = {zlib.crc32(line.encode()) for line in stripped if len(line) >= _TELLING}
    if lines and len(lines & seen) > _SEEN_SHARE * len(lines):
        return True
    seen |= lines
    return False
