"""The store's tables, as the newest migration leaves them (a test compares the two).

Everything is append-only. A million rows is the size in mind: what samplers read are numbers in
columns; node ids and digests of tests, which many candidates share, are content-addressed blobs;
an outcome is one letter.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from p2assist.experience import Outcome, Source

# Codes on disk: append to these, never renumber.
SOURCES = {Source.SELF: 0, Source.REFERENCE: 1, Source.KEPT: 2, Source.TEACHER: 3}
LETTERS = {
    Outcome.PASSED: "P",
    Outcome.FAILED: "F",
    Outcome.ERROR: "E",
    Outcome.TIMEOUT: "T",
    Outcome.CRASHED: "C",
    Outcome.REFUSED: "R",
    Outcome.NOT_RUN: "N",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Utf8(sa.types.TypeDecorator[str]):
    """Text as UTF-8 bytes: a model's text may hold NUL and lone surrogates, which text columns
    refuse."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> bytes | None:
        return None if value is None else value.encode("utf-8", "surrogatepass")

    def process_result_value(self, value: bytes | None, dialect: Any) -> str | None:
        return None if value is None else value.decode("utf-8", "surrogatepass")


class Instant(sa.types.TypeDecorator[datetime]):
    """An instant as whole microseconds since 1970 UTC: exact, and the same in every database.

    A datetime without a zone is refused with ValueError.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else instant(value)


def microseconds(at: datetime) -> int:
    """Since 1970 UTC. Raises ValueError where at has no zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone: say datetime.now(UTC)")
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def instant(value: int) -> datetime:
    """The UTC instant of so many microseconds since 1970."""
    seconds, rest = divmod(value, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


metadata = sa.MetaData()
_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _Id, primary_key=True, autoincrement=True)


def _to(name: str, table: str, *, null: bool = False, index: bool = False) -> sa.Column[int]:
    return sa.Column(name, _Id, sa.ForeignKey(f"{table}.id"), nullable=null, index=index)


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, **options)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _table(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    # SQLite gives the ids of forgotten rows again unless told not to; samplers hold on to ids.
    return sa.Table(name, metadata, _id(), *columns, sqlite_autoincrement=True)


blobs = _table(  # sources and lists of tests, zlib-compressed, by the SHA-256 of what is in them
    "blobs",
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
functions = _table(
    "functions",
    _text("path"),
    _text("name"),
    sa.UniqueConstraint("path", "name"),
)
makers = _table(  # who made a candidate
    "makers",
    _text("model"),
    _text("adapter"),
    sa.UniqueConstraint("model", "adapter"),
)
people = _table("people", _text("name", unique=True))
tasks = _table(
    "tasks",
    sa.Column("key", sa.String(32), nullable=False, unique=True),
    sa.Column("given_key", sa.String(32), nullable=False),  # before redaction
    _to("function_id", "functions", index=True),
    _text("kind"),
    sa.Column("span_start", sa.Integer, nullable=False),
    sa.Column("span_end", sa.Integer, nullable=False),
    _to("source_id", "blobs"),
    _to("tests_id", "blobs"),
    sa.Column("description", Utf8, nullable=False),
    _text("git_commit"),
)
candidates = _table(  # one row for each Experience
    "candidates",
    sa.Column("key", sa.String(32), nullable=False, unique=True),
    sa.Column("given_key", sa.String(32), nullable=False, index=True),
    _to("task_id", "tasks", index=True),
    _to("maker_id", "makers"),
    _to("person_id", "people", null=True),
    sa.Column("source", sa.SmallInteger, nullable=False),
    sa.Column("text", Utf8, nullable=False),
    sa.Column("logprob", sa.Float(53), nullable=False),
    _number("num_tokens"),
    _number("rank"),
    sa.Column("mass", sa.Float(53)),
    sa.Column("token_ids", sa.LargeBinary),
    sa.Column("created", Instant, nullable=False),
)
reports = _table(  # the newest of a candidate's is the one that counts
    "reports",
    _to("candidate_id", "candidates"),
    sa.Column("digest", sa.String(32), nullable=False),
    _number("passed"),
    _number("total"),  # 0: untested
    sa.Column("complete", sa.Boolean, nullable=False),
    _to("tests_id", "blobs"),
    _text("outcomes"),  # two letters a test: outcome, baseline
    sa.Column("details", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("candidate_id", "digest"),
)
events = _table(  # what happened to a candidate: shown, accepted, landed, survived, ...
    "events",
    _to("candidate_id", "candidates"),
    sa.Column("digest", sa.String(32), nullable=False),
    _text("kind"),
    sa.Column("at", Instant, nullable=False),
    _to("person_id", "people", null=True, index=True),
    sa.Column("data", sa.LargeBinary, nullable=False),  # JSON, UTF-8
    sa.UniqueConstraint("candidate_id", "digest"),
)
practised = sa.Table(  # tasks that a model with its adapter has done
    "practised",
    metadata,
    sa.Column("task_key", sa.String(32), primary_key=True),
    sa.Column("maker_id", _Id, sa.ForeignKey("makers.id"), primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
)
# Holds a row only inside the transaction of `forget`: the triggers let rows go while it does.
forgetting = sa.Table(
    "forgetting",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
)
APPEND_ONLY = (blobs, functions, makers, people, tasks, candidates, reports, events, practised)
