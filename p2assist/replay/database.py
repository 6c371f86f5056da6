"""The database under the store: opening, migrating, transactions, and errors in words.

SQLite runs in WAL mode with synchronous=FULL. NORMAL would be enough against kill -9 (the kernel
keeps what was written), but it may lose the last commits when the power goes; a commit here
follows seconds of generation and tests, so its fsync costs nothing that anybody notices.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from p2assist.errors import CorruptStoreError, P2AssistError, SchemaError, StoreError
from p2assist.replay.migrations import HEAD

BUSY_SECONDS = 60.0  # how long a transaction waits for another process's
_WRITE = "p2assist_write"
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_HELD = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNREACHABLE = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
}


def file_of(url: sa.URL) -> Path | None:
    """The file of an SQLite database; None for other databases and for one in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def connect(text: str) -> sa.Engine:
    """The engine of an SQLAlchemy URL; nothing is opened yet, but an SQLite file's folder exists.

    Raises StoreError where the URL or the folder is no good.
    """
    try:
        url = sa.make_url(text)
        lite = url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}} if lite else {}
        engine = sa.create_engine(url, **options)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            f"the store's URL {_hidden(text)!r} cannot be used: {error}. Give one such as "
            "sqlite:////absolute/path/replay.db; PostgreSQL needs p2assist[postgres]"
        ) from error
    if lite:
        sa.event.listen(engine, "connect", _settings)
        sa.event.listen(engine, "begin", _begin)
    file = file_of(url)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"no folder for the store can be made: {error}") from error
    return engine


def prepare(engine: sa.Engine) -> None:
    """Bring the schema to HEAD. What this version does not know stays as it is.

    Raises SchemaError where another version, or another program, wrote it; CorruptStoreError
    where it is damaged or no database.
    """
    with reading(engine) as connection:
        if _check(connection, engine.url) == HEAD:
            return
    file = file_of(engine.url)
    if file is None:
        _upgrade(engine)
        return
    # One at a time: switching to WAL does not wait for other connections, it fails.
    with translated(engine.url), FileLock(f"{file}.lock"):
        pragma(engine, "journal_mode=WAL")
        _upgrade(engine)


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a transaction that only reads: one consistent view."""
    with translated(engine.url), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that holds SQLite's write lock from its first moment, so that it cannot meet
    a deadlock half-way; committed at the end, undone by any exception."""
    with (
        translated(engine.url),
        engine.connect().execution_options(**{_WRITE: True}) as connection,
        connection.begin(),
    ):
        yield connection


def pragma(engine: sa.Engine, text: str) -> None:
    """One of SQLite's that cannot run inside a transaction."""
    with translated(engine.url), closing(engine.raw_connection()) as connection:
        connection.cursor().execute(f"PRAGMA {text}")


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """Turns the database's errors into ours."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        raise _in_words(error, url) from error


def _in_words(error: Exception, url: sa.URL) -> P2AssistError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF  # extended codes are above
    where = file_of(url) or url.render_as_string(hide_password=True)
    if code in _DAMAGED:
        return CorruptStoreError(
            f"{where} is damaged, or no replay store at all ({cause}). It was left as it is: move "
            f"it away and a new one is begun, or put a copy of it back. `sqlite3 {where} .recover` "
            "may save what is in it"
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreError(
            f"no room to write to {where} ({cause}). Nothing that was stored is lost, the last "
            "addition alone was not made: free some space and run this again"
        )
    if code in _HELD:
        return StoreError(
            f"another process has been writing to {where} for over {BUSY_SECONDS:.0f} s ({cause}): "
            "run this again when it is done"
        )
    if code in _UNREACHABLE or isinstance(error, OSError):
        return StoreError(
            f"{where} cannot be read or written ({cause}): look at its permissions and its disk"
        )
    return StoreError(f"the store at {where} refused: {cause}")


def _settings(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin says, DDL's too
    for pragma in ("foreign_keys=ON", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _check(connection: sa.Connection, url: sa.URL) -> str | None:
    """The schema's revision, None for an empty database."""
    tables = sa.inspect(connection).get_table_names()
    if not tables:
        return None
    where = file_of(url) or url.render_as_string(hide_password=True)
    if "alembic_version" not in tables:
        raise SchemaError(
            f"{where} is a database of something else (it holds {', '.join(tables[:3])}). It was "
            "left as it is: give the store another place"
        )
    row = connection.execute(sa.text("SELECT version_num FROM alembic_version")).first()
    revision = row[0] if row else None
    if revision is not None and revision != HEAD and revision not in _known():
        raise SchemaError(
            f"{where} was written by another version of p2assist (schema {revision}; this one "
            f"knows up to {HEAD}). It was left as it is: update p2assist, or give another store"
        )
    return revision


def _scripts() -> tuple[Any, Any]:
    """alembic's (Config, ScriptDirectory); imported late, it takes longer than opening."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config, ScriptDirectory.from_config(config)


def _known() -> set[str]:
    return {script.revision for script in _scripts()[1].walk_revisions()}


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command

    config, _ = _scripts()
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _hidden(text: str) -> str:
    """The URL without its password, as far as it can be told."""
    try:
        return sa.make_url(text).render_as_string(hide_password=True)
    except ArgumentError:
        return text.partition("://")[0] + "://..."
