"""The packages that the demo and the benchmarks run on, fetched once and pinned by hash."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PLACE = Path(".demo")
PYTEST = "pytest==9.2.0"
TEST_NEEDS = ("freezegun==1.5.5",)  # of humanize's tests


@dataclass(frozen=True, slots=True)
class Package:
    """A source distribution. digest: SHA-256 of its archive, in hex."""

    name: str
    version: str
    digest: str

    @property
    def stem(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}"


TOOLZ = Package(
    "toolz", "1.2.0", "9667a038e9d6ecba37995e26cb2f59ec6420b6ad8dd9677de59db9b956b08490"
)
MORE_ITERTOOLS = Package(
    "more-itertools", "11.2.1", "cbf08fd0af284dc69718b9b76a8e6203df624d70209ea511e4219d350c856f63"
)
BOLTONS = Package(
    "boltons", "26.2.0", "d39cfd15c1a1c3bd4d705c82252fa9edb8e4f5e8cc039f8e39afac7b1b47e92c"
)
TOMLKIT = Package(
    "tomlkit", "0.15.2", "83e32755ba1d20d9340bd069ee97e9f6232ba2346b63ffcba425de01f7e327a6"
)
HUMANIZE = Package(
    "humanize", "4.17.0", "1d6a36c453dbfbb3f0b34601d2e0b4ce5d48d780305cd45714843f0068fde6ac"
)


def unpacked(package: Package, place: Path = PLACE) -> Path:
    """The package's tree, unpacked anew; its archive is kept for the next time."""
    archive = place / "archives" / f"{package.stem}.tar.gz"
    if not archive.exists():
        _fetch(package, archive.parent)
    root = place / package.stem
    shutil.rmtree(root, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(place, filter="data")
    return root.resolve()


def kept(package: Package, place: Path = PLACE) -> Path:
    """The package's tree as it is there, unpacked where it is not."""
    root = place / package.stem
    return root.resolve() if root.is_dir() else unpacked(package, place)


def interpreter(place: Path = PLACE, *needs: str) -> Path:
    """An interpreter with pytest, what `needs` names and nothing else: the project's own;
    p2assist is not in it."""
    folder = place / "venv"
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        venv.create(folder, with_pip=True, clear=True)
        _pip(python, "install", PYTEST, *needs)
        ready.touch()
    return python.absolute()


def bare(folder: Path) -> Path:
    """An interpreter with a copy of our own pytest, made without any download: as `interpreter`,
    for those who may not, or need not, fetch."""
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        distribution = metadata.distribution(name)
        for file in distribution.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(distribution.locate_file(file)), target)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "compileall", "-q", packages], check=True)
    return python


def needed(*names: str) -> None:
    """Installs, as constraints.txt pins them, those that cannot be imported here."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        pins = Path(__file__).parents[1] / "constraints.txt"
        _pip(Path(sys.executable), "install", "-c", str(pins), *missing)


def _fetch(package: Package, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pins = Path(scratch) / "pins.txt"
        pins.write_text(f"{package.name}=={package.version} --hash=sha256:{package.digest}\n")
        options = ["--no-deps", "--no-binary", ":all:", "--require-hashes"]
        _pip(Path(sys.executable), "download", *options, "-r", str(pins), "-d", str(folder))


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    subprocess.run(command, check=True)
