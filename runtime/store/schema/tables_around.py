"""The tables around the job: what it is found by, kept by, told by and asked by.

Apart from `runtime.store.schema.tables`, and part of the same metadata: a test compares both with
the migrations.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
)

from runtime.store.schema.tables import metadata
from runtime.store.schema.times import UtcDateTime

job_labels = Table(
    "job_labels",
    metadata,
    Column("job_id", String, ForeignKey("jobs.id"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
    Index("ix_job_labels_name", "name", "value", "job_id"),
)

presets = Table(
    "presets",
    metadata,
    Column("owner", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("wanted", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

bulk_operations = Table(
    "bulk_operations",
    metadata,
    Column("id", String, primary_key=True),
    Column("act", String, nullable=False),
    Column("wanted", JSON, nullable=False),
    Column("who", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("owner", String),
    Column("packages", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("matched", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("left_alone", Integer, nullable=False),
    Column("place", String, nullable=False),
    Column("waits_for", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Index("ix_bulk_operations_state", "state"),
)

batches = Table(
    "batches",
    metadata,
    Column("owner", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("note", String, nullable=False),
    Column("webhook", String),
    Column("at", UtcDateTime, nullable=False),
    Column("sealed_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Index("ix_batches_ended_at", "ended_at", "sealed_at"),
)

input_blobs = Table(
    "input_blobs",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("job_id", String, ForeignKey("jobs.id"), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Index("ix_input_blobs_job_id", "job_id"),
)

pins = Table(
    "pins",
    metadata,
    Column("job_id", String, ForeignKey("jobs.id"), primary_key=True),
    Column("who", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

former_jobs = Table(
    "former_jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("package", String, nullable=False),
    Column("version", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("submitted_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("gone_at", UtcDateTime, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("name", String, primary_key=True),
    Column("policy", JSON, nullable=False),
    Column("who", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

freed = Table(
    "freed",
    metadata,
    Column("kind", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("url", String, nullable=False),
    Column("package", String, nullable=False),
    Column("states", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("sees_all", Boolean, nullable=False),
    Column("packages", JSON, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String, primary_key=True),
    Column("place", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("package", String, nullable=False),
    Column("job_id", String),
    Column("url", String, nullable=False),
    Column("host", String, nullable=False),
    Column("body", String, nullable=False),
    Column("state", String, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("status", Integer),
    Column("error", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Index("ix_deliveries_state", "state", "host", "due_at"),
    Index("ix_deliveries_job_id", "job_id"),
    Index("ix_deliveries_ended_at", "ended_at"),
)

questions = Table(
    "questions",
    metadata,
    Column("job_id", String, ForeignKey("jobs.id"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("prompt", String, nullable=False),
    Column("schema", JSON, nullable=False),
    Column("fallback", JSON(none_as_null=True)),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("answered_at", UtcDateTime),
    Column("answered_by", String, nullable=False),
    Column("answer", JSON(none_as_null=True)),
    Index("ix_questions_expires_at", "answered_at", "expires_at"),
)

# What is seen from outside: totals that only rise.
job_endings = Table(
    "job_endings",
    metadata,
    Column("package", String, primary_key=True),
    Column("state", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

totals = Table(
    "totals",
    metadata,
    Column("name", String, primary_key=True),
    Column("labels", String, primary_key=True),
    Column("value", Float, nullable=False),
)
