"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_GUARDED = (
    "blobs",
    "functions",
    "makers",
    "people",
    "tasks",
    "candidates",
    "reports",
    "events",
    "practised",
)


def upgrade() -> None:
    _shared()
    _experience()
    _history()
    if op.get_bind().dialect.name == "sqlite":
        _guards()


def _table(name: str, *columns: sa.schema.SchemaItem) -> None:
    key: sa.Column[int] = sa.Column("id", _Id, primary_key=True, autoincrement=True)
    op.create_table(name, key, *columns, sqlite_autoincrement=True)


def _to(name: str, table: str, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, _Id, sa.ForeignKey(f"{table}.id"), nullable=null)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _key(name: str, size: int = 32, unique: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(size), nullable=False, unique=unique)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _bytes(name: str, null: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=null)


def _instant(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _shared() -> None:
    _table("blobs", _key("digest", 64, unique=True), _bytes("data"))
    _table("functions", _text("path"), _text("name"), sa.UniqueConstraint("path", "name"))
    _table("makers", _text("model"), _text("adapter"), sa.UniqueConstraint("model", "adapter"))
    _table("people", sa.Column("name", sa.Text, nullable=False, unique=True))


def _experience() -> None:
    _table(
        "tasks",
        _key("key", unique=True),
        _key("given_key"),
        _to("function_id", "functions"),
        _text("kind"),
        _number("span_start"),
        _number("span_end"),
        _to("source_id", "blobs"),
        _to("tests_id", "blobs"),
        _bytes("description"),
        _text("git_commit"),
    )
    op.create_index("ix_tasks_function_id", "tasks", ["function_id"])
    _table(
        "candidates",
        _key("key", unique=True),
        _key("given_key"),
        _to("task_id", "tasks"),
        _to("maker_id", "makers"),
        _to("person_id", "people", null=True),
        sa.Column("source", sa.SmallInteger, nullable=False),
        _bytes("text"),
        sa.Column("logprob", sa.Float(53), nullable=False),
        _number("num_tokens"),
        _number("rank"),
        sa.Column("mass", sa.Float(53)),
        _bytes("token_ids", null=True),
        _instant("created"),
    )
    op.create_index("ix_candidates_given_key", "candidates", ["given_key"])
    op.create_index("ix_candidates_task_id", "candidates", ["task_id"])


def _history() -> None:
    _table(
        "reports",
        _to("candidate_id", "candidates"),
        _key("digest"),
        _number("passed"),
        _number("total"),
        sa.Column("complete", sa.Boolean, nullable=False),
        _to("tests_id", "blobs"),
        _text("outcomes"),
        _bytes("details"),
        sa.UniqueConstraint("candidate_id", "digest"),
    )
    _table(
        "events",
        _to("candidate_id", "candidates"),
        _key("digest"),
        _text("kind"),
        _instant("at"),
        _to("person_id", "people", null=True),
        _bytes("data"),
        sa.UniqueConstraint("candidate_id", "digest"),
    )
    op.create_index("ix_events_person_id", "events", ["person_id"])
    op.create_table(
        "practised",
        sa.Column("task_key", sa.String(32), primary_key=True),
        sa.Column(
            "maker_id", _Id, sa.ForeignKey("makers.id"), primary_key=True, autoincrement=False
        ),
        _instant("at"),
    )
    op.create_table(
        "forgetting", sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
    )


def _guards() -> None:
    """Rows are never changed, and go only while `forget` has its row in `forgetting`."""
    for table in _GUARDED:
        op.execute(
            f"CREATE TRIGGER {table}_unchanged BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        op.execute(
            # The names are this file's own.
            f"CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} "  # noqa: S608
            "WHEN NOT EXISTS (SELECT 1 FROM forgetting) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: only forget removes'); END"
        )
