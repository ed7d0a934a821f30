"""The tables of what says which job runs when, beside those of `runtime.store.schema.tables`."""

from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from runtime.store.schema.tables import metadata
from runtime.store.schema.times import UtcDateTime

pauses = Table(
    "pauses",
    metadata,
    Column("subject", String, primary_key=True),
    Column("who", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
)

rates = Table(
    "rates",
    metadata,
    Column("key", String, primary_key=True),
    Column("next_at", UtcDateTime, nullable=False),
    Index("ix_rates_next_at", "next_at"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("job_id", String, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("code", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("attempts", Integer, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("package", String, nullable=False),
    Column("version", String),
    Column("parameters", JSON, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("request", JSON, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("retry", JSON(none_as_null=True)),
    Column("cron", String, nullable=False),
    Column("every_s", Integer),
    Column("zone", String, nullable=False),
    Column("missed", String, nullable=False),
    Column("overlap", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime),
    Column("last_job_id", String),
    UniqueConstraint("owner", "name"),
    Index("ix_schedules_next_at", "next_at"),
)

ticks = Table(
    "ticks",
    metadata,
    Column("schedule_id", String, ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("outcome", String, nullable=False),
    Column("job_id", String),
    Column("told", String, nullable=False),
    Column("noted_at", UtcDateTime, nullable=False),
    Index("ix_ticks_noted_at", "noted_at"),
)
