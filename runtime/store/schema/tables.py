"""The tables. A change here needs a migration beside it; a test compares the two."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    text,
)

from runtime.store.schema.times import UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

packages = Table(
    "packages",
    metadata,
    Column("name", String, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("active_version", String),
    Column("active_activation_id", String),
    Index("ix_packages_created_at", "created_at", "name"),
)

versions = Table(
    "versions",
    metadata,
    Column("package", String, ForeignKey("packages.name"), primary_key=True),
    Column("version", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("title", String, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("requirements", JSON, nullable=False),
    Column("uploaded_at", UtcDateTime, nullable=False),
    Column("uploaded_by", String, nullable=False),
)

activations = Table(
    "activations",
    metadata,
    Column("id", String, primary_key=True),
    Column("package", String, nullable=False),
    Column("version", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("state", String, nullable=False),
    Column("who", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("worker", String),
    Column("problems", JSON, nullable=False),
    Column("traceback", Text, nullable=False),
    Column("log", JSON, nullable=False),
    Column("prepared", JSON(none_as_null=True)),
    Column("tries", Integer, nullable=False, server_default="0"),
    ForeignKeyConstraint(["package", "version"], ["versions.package", "versions.version"]),
    Index("ix_activations_package", "package", "version", "finished_at"),
    Index("ix_activations_state", "state"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("package", String, nullable=False),
    Column("version", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("activation_id", String, ForeignKey("activations.id"), nullable=False),
    Column("state", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("token", String),
    Column("worker", String),
    Column("parameters", JSON, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("request", JSON, nullable=False),
    Column("owner", String, nullable=False, server_default=""),
    Column("platform", String, nullable=False, server_default=""),
    Column("submitted_at", UtcDateTime, nullable=False),
    Column("queued_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("turn", BigInteger, nullable=False, server_default="0"),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("cancel_requested_at", UtcDateTime),
    Column("progress", JSON(none_as_null=True)),
    Column("error", JSON(none_as_null=True)),
    # Around the job: by what it is found, who is told of its end, and what of it went when.
    Column("labels", JSON, nullable=False, server_default="{}"),
    Column("batch", String),
    Column("error_code", String),
    Column("webhook", String),
    Column("told_attempt", Integer),
    Column("inputs_gone_at", UtcDateTime),
    Column("outputs_gone_at", UtcDateTime),
    Column("events_gone_at", UtcDateTime),
    # which job runs when
    Column("claimed_turn", BigInteger, nullable=False, server_default="0"),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("due_why", String, nullable=False, server_default=""),
    Column("expires_at", UtcDateTime),
    Column("held_by", String),
    Column("retry", JSON(none_as_null=True)),
    Column("counted_from", Integer, nullable=False, server_default="1"),
    Column("slot_key", String),
    Column("slot_most", Integer),
    Column("rate_key", String),
    Column("rate_between_s", Float),
    Column("unique_key", String),
    Column("schedule_id", String),
    Column("needs", String, nullable=False, server_default=""),
    # One for each way to ask for a list: without (state, id) a page of the succeeded read all
    # of a hundred thousand (1.1 s).
    Index("ix_jobs_turn", "state", "turn", "id"),
    Index("ix_jobs_line", "package", "owner", "priority", "state", "turn"),
    Index("ix_jobs_state", "state", "id"),
    Index("ix_jobs_package", "package", "id"),
    Index("ix_jobs_package_state", "package", "state", "id"),
    Index("ix_jobs_owner", "owner", "id"),
    Index("ix_jobs_owner_state", "owner", "state", "id"),
    Index("ix_jobs_version", "package", "version", "id"),
    *(
        # Of the few rows that have it: no other job pays for them. A PostgreSQL has the same by its
        # migrations: to name its dialect here would load it (31 ms) for who has a file.
        Index(f"ix_jobs_{name}", *columns, sqlite_where=text(it))
        for name, columns, it in (
            ("held_by", ("held_by", "turn", "id"), "held_by IS NOT NULL"),
            ("slot_key", ("slot_key", "state", "held_by"), "slot_key IS NOT NULL"),
            ("rate_key", ("rate_key", "state", "held_by"), "rate_key IS NOT NULL"),
            ("unique_key", ("unique_key", "state"), "unique_key IS NOT NULL"),
            ("expires_at", ("state", "expires_at"), "expires_at IS NOT NULL"),
        )
    ),
)
# Only of those that have one: most jobs have no batch and no error, and pay nothing for these.
for _name, _columns in {
    "worker": ("worker", "id"),
    "batch": ("batch", "id"),
    "batch_state": ("batch", "state"),
    "error_code": ("error_code", "id"),
    "finished_at": ("finished_at", "id"),
}.items():
    _has_one = jobs.c[_columns[0]].is_not(None)
    Index(f"ix_jobs_{_name}", *(jobs.c[_column] for _column in _columns), sqlite_where=_has_one)

# Those that somebody wants to be told of, and is not yet: asked every second.
_is_untold = and_(
    jobs.c.told_attempt.is_not(None),
    jobs.c.finished_at.is_not(None),
    jobs.c.told_attempt < jobs.c.attempt,
)
Index("ix_jobs_untold", jobs.c.id, sqlite_where=_is_untold)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", String, ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String, nullable=False),
    Column("token", String),
    Column("worker", String),
    Column("queued_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("error", JSON(none_as_null=True)),
    Column("artifact_digest", String),
    Column("is_partial", Boolean, nullable=False),
    Index("ix_attempts_started_at", "started_at"),
)

# Not a part of a job: an artifact outlives the row of its job.
artifacts = Table(
    "artifacts",
    metadata,
    Column("job", String, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

outputs = Table(
    "outputs",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("path", String, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("media_type", String, nullable=False),
    ForeignKeyConstraint(["job_id", "attempt"], ["attempts.job_id", "attempts.number"]),
    Index("ix_outputs_sha256", "sha256"),
)

events = Table(
    "events",
    metadata,
    Column("job", String, ForeignKey("jobs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("event", String, nullable=False),
    Column("data", JSON, nullable=False),
)

submissions = Table(
    "submissions",
    metadata,
    Column("principal", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("fingerprint", String, nullable=False),
    Column("job_id", String, ForeignKey("jobs.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_submissions_at", "at"),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

gate = Table(
    "gate",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("is_open", Boolean, nullable=False),
    Column("until", UtcDateTime),
    Column("reason", String, nullable=False),
    Column("who", String, nullable=False),
    Column("packages", JSON, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("details", JSON, nullable=False),
    Column("digest", String, nullable=False),
    UniqueConstraint("digest"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String, primary_key=True),
    Column("host", String, nullable=False),
    Column("version", String, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("platform", String, nullable=False, server_default=""),
    Column("drained_at", UtcDateTime),
    Column("drained_by", String, nullable=False, server_default=""),
    Column("offers", String, nullable=False, server_default=""),
    Column("level", String, nullable=False, server_default=""),
    Column("serves", String, nullable=False, server_default=""),
    Column("reading", JSON(none_as_null=True)),
)

# One row: what all processes that use this database have to agree on.
cluster = Table(
    "cluster",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("docket", String, nullable=False),
    Column("docket_name", String, nullable=False),
    Column("blobs", String, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("former_digest", String),
    Column("former_until", UtcDateTime),
    Column("note", String, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("packages", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("rotated_at", UtcDateTime),
    Column("used_at", UtcDateTime),
    Column("used_from", String, nullable=False),
    Column("requests_per_minute", Integer),
    UniqueConstraint("name"),
    UniqueConstraint("digest"),
    Index("ix_tokens_former_digest", "former_digest"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("principal", String, nullable=False),
    Column("token_id", String, ForeignKey("tokens.id")),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("source", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("scopes", JSON),
    UniqueConstraint("digest"),
    Index("ix_sessions_token_id", "token_id"),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("digest", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("key_id", String, nullable=False),
    Column("signature", String, nullable=False),
)
