"""Where the corpus comes from: installed packages, fetched packages, the standard library."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from rich.progress import track

from .licences import classify

# Code of other authors under other licences; stdlib parts that are no library code.
_SKIPPED = {
    "_vendor", "_vendored", "vendor", "vendored", "extern", "third_party", "thirdparty",
    "site-packages", "__pycache__", "lib2to3", "idlelib", "turtledemo", "ensurepip",
    "node_modules", "tclLib", "externals", "_externals", "thirdparty_files", "site_packages",
}  # fmt: skip
_TEST = re.compile(r"(^|/)(tests?|testing|_tests?)/|(^|/)(test_[^/]*|[^/]*_tests?|conftest)\.py$")


@dataclass(frozen=True)
class Source:
    """One package, or the standard library, with the Python files it may give."""

    name: str
    version: str
    licence: str
    root: Path
    files: tuple[str, ...]


def normalise(name: str) -> str:
    """The package index's spelling of a distribution name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_test(path: str) -> bool:
    """Whether a path looks like a test file's."""
    return _TEST.search(path) is not None


def fetch(requirements: Path, target: Path, log: Path) -> None:
    """Put the Python files and the metadata of a requirements file's packages under target.

    Wheels are read and nothing of them is run, nor what they depend on fetched.
    """
    wheels = target.with_name("wheels")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--dest", str(wheels)]
    with log.open("w") as out:
        subprocess.run([*command, "-r", str(requirements)], stdout=out, stderr=out, check=True)
    fresh = target.with_suffix(".tmp")
    for wheel in track(sorted(wheels.glob("*.whl")), "unpacking"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".py") or ".dist-info/" in name:
                    archive.extract(name, fresh)
    fresh.rename(target)


def trees(requirements: Sequence[str], target: Path) -> dict[str, Path]:
    """The roots of the requirements' source distributions, unpacked under target, by name."""
    if not target.exists():
        fresh = target.with_suffix(".tmp")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary=:all:", "--disable-pip-version-check", "--dest", str(fresh)]
        subprocess.run([*command, *requirements], check=True)
        for archive in sorted(fresh.glob("*.tar.gz")):
            with tarfile.open(archive) as tar:
                tar.extractall(fresh, filter="data")
        fresh.rename(target)
    roots = (path for path in sorted(target.iterdir()) if path.is_dir())
    return {normalise(root.name.rpartition("-")[0]): root for root in roots}


def standard_library() -> Source:
    """The running interpreter's own modules."""
    root = Path(sysconfig.get_path("stdlib"))
    files = tuple(sorted(str(p.relative_to(root)) for p in root.rglob("*.py")))
    kept = tuple(f for f in files if _wanted(f))
    return Source("stdlib", platform.python_version(), "PSF-2.0", root, kept)


def packages(folders: Sequence[Path]) -> tuple[list[Source], list[str]]:
    """(permissively licensed packages, names of those left out) under the folders."""
    found: dict[str, Source] = {}
    refused = []
    for distribution in distributions(path=[str(folder) for folder in folders]):
        name = normalise(distribution.metadata["Name"])
        if name in found:
            continue
        licence = _licence(distribution)
        if licence is None:
            refused.append(name)
            continue
        root = Path(str(distribution.locate_file("")))
        found[name] = Source(name, distribution.version, licence, root, tuple(_files(distribution)))
    return [found[name] for name in sorted(found)], sorted(set(refused) - set(found))


def _licence(distribution: Distribution) -> str | None:
    metadata = distribution.metadata.json
    return classify(
        str(metadata.get("license_expression", "")),
        list(metadata.get("classifier", [])),
        str(metadata.get("license", "")),
    )


def _files(distribution: Distribution) -> Iterator[str]:
    for path in sorted(str(file) for file in distribution.files or ()):
        if path.endswith(".py") and not path.startswith("..") and _wanted(path):
            yield path


def _wanted(path: str) -> bool:
    return not _SKIPPED.intersection(Path(path).parts[:-1])
