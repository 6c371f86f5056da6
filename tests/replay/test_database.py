"""Opening, migrating, and what is said when it goes wrong: nothing stored may be lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from p2assist.errors import CorruptStoreError, SchemaError, StoreError
from p2assist.replay import database
from p2assist.replay.migrations import HEAD
from p2assist.replay.store import Store
from p2assist.replay.tables import metadata


def test_a_new_store_has_its_folder_schema_and_mode(store: Store, file: Path) -> None:
    with closing(sqlite3.connect(file)) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
    with database.reading(store._engine) as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("foreign_keys", "synchronous", "busy_timeout")
        ]
    assert settings == [1, 2, int(database.BUSY_SECONDS * 1000)]


def test_migrations_make_what_the_tables_say(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration() -> None:
    _, scripts = database._scripts()
    assert scripts.get_current_head() == HEAD
    assert HEAD in database._known()


def test_a_newer_store_is_refused_and_left_alone(url: str, file: Path, make) -> None:
    with Store.open(url) as store:
        store.add([make.experience()])
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    before = file.read_bytes()
    with pytest.raises(SchemaError, match=r"schema 9999.*update p2assist"):
        Store.open(url)
    assert file.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(url: str, file: Path) -> None:
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("CREATE TABLE recipes (name)")
    before = file.read_bytes()
    with pytest.raises(SchemaError, match="something else"):
        Store.open(url)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"these are notes, no database\n" * 200, b"\x00" * 5000])
def test_no_database_is_refused_and_left_alone(url: str, file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(CorruptStoreError, match=r"move it away|put a copy"):
        Store.open(url)
    assert file.read_bytes() == content


def test_a_damaged_store_says_so_and_stays(url: str, file: Path, make) -> None:
    with Store.open(url) as store:
        store.add([make.experience(f"return {i}", at=make.task(i)) for i in range(300)])
    content = bytearray(file.read_bytes())
    content[8192:-4096] = b"\xab" * (len(content) - 12288)
    file.write_bytes(content)

    def use() -> None:
        with Store.open(url) as store:
            store.check()

    with pytest.raises(CorruptStoreError, match="put a copy"):
        use()
    assert file.read_bytes()[8192:-4096] == content[8192:-4096]


def test_an_empty_file_becomes_a_store(url: str, file: Path, make) -> None:
    file.parent.mkdir()
    file.touch()
    with Store.open(url) as store:
        assert store.add([make.experience()]) == 1
        store.check()


def test_a_full_disk_loses_nothing(store: Store, make) -> None:
    store.add([make.experience()])
    with database.reading(store._engine) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    database.pragma(store._engine, f"max_page_count={pages + 4}")
    big = [make.experience(f"return {i}" + "0" * 4000) for i in range(50)]
    with pytest.raises(StoreError, match=r"Nothing that was stored is lost.*free some space"):
        store.add(big)
    assert list(store.experiences()) == [make.experience()]
    database.pragma(store._engine, "max_page_count=1000000")
    assert store.add(big) == 50


@pytest.mark.parametrize("url", ["nonsense", "oracle9://host/x", "sqlite:////proc/nowhere/x.db"])
def test_a_bad_url_is_named(url: str) -> None:
    with pytest.raises(StoreError, match=r"store"):
        Store.open(url)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(StoreError) as error:
        Store.open("postgresql+nothing://ann:hunter2@host/db")
    assert "hunter2" not in str(error.value)


def test_a_held_store_says_so(
    url: str, file: Path, make, opened: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    store = opened(url)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process has been writing"):
        store.add([make.experience()])
    holder.close()
    assert store.add([make.experience()]) == 1


def test_an_older_store_is_brought_up(url: str, file: Path, make) -> None:
    """An alembic table without a revision is a store whose migrations have not run."""
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    with Store.open(url) as store:
        assert store.add([make.experience()]) == 1


def test_a_failed_migration_leaves_nothing(url: str, file: Path, monkeypatch) -> None:
    """Migrations are one transaction: what one of them did goes with it."""
    from alembic import command

    def half(config, revision) -> None:
        connection = config.attributes["connection"]
        connection.execute(sa.text("CREATE TABLE candidates (id)"))
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", half)
        with pytest.raises(RuntimeError):
            Store.open(url)
    with closing(sqlite3.connect(file)) as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == []
    Store.open(url).close()
