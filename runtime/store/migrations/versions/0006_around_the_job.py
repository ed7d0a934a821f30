"""What a job is found, kept, told and asked by: labels, batches, retention, webhooks, questions."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the tables; which inputs a job names is written down."""
    _change_jobs()
    _change_indexes()
    _create_batches()
    _create_bulk_operations()
    _create_deliveries()
    _create_former_jobs()
    _create_freed()
    _create_input_blobs()
    _create_job_labels()
    _create_pins()
    _create_policies()
    _create_presets()
    _create_questions()
    _create_webhooks()
    _fill_what_there_is()


def _change_jobs() -> None:
    op.add_column("jobs", sa.Column("labels", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("jobs", sa.Column("batch", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("error_code", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("webhook", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("told_attempt", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("inputs_gone_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("outputs_gone_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("events_gone_at", sa.DateTime(timezone=True), nullable=True))


def _change_indexes() -> None:
    op.create_index(
        "ix_jobs_batch",
        "jobs",
        ["batch", "id"],
        sqlite_where=sa.text("batch IS NOT NULL"),
        postgresql_where=sa.text("batch IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_batch_state",
        "jobs",
        ["batch", "state"],
        sqlite_where=sa.text("batch IS NOT NULL"),
        postgresql_where=sa.text("batch IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_error_code",
        "jobs",
        ["error_code", "id"],
        sqlite_where=sa.text("error_code IS NOT NULL"),
        postgresql_where=sa.text("error_code IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_finished_at",
        "jobs",
        ["finished_at", "id"],
        sqlite_where=sa.text("finished_at IS NOT NULL"),
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_untold",
        "jobs",
        ["id"],
        sqlite_where=sa.text(
            "told_attempt IS NOT NULL AND finished_at IS NOT NULL AND told_attempt < attempt"
        ),
        postgresql_where=sa.text(
            "told_attempt IS NOT NULL AND finished_at IS NOT NULL AND told_attempt < attempt"
        ),
    )
    op.create_index("ix_jobs_version", "jobs", ["package", "version", "id"])
    op.create_index(
        "ix_jobs_worker",
        "jobs",
        ["worker", "id"],
        sqlite_where=sa.text("worker IS NOT NULL"),
        postgresql_where=sa.text("worker IS NOT NULL"),
    )
    op.create_index("ix_outputs_sha256", "outputs", ["sha256"])


def _create_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("webhook", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("owner", "name", name=op.f("pk_batches")),
        sa.UniqueConstraint("id", name=op.f("uq_batches_id")),
    )
    op.create_index("ix_batches_ended_at", "batches", ["ended_at", "sealed_at"])


def _create_bulk_operations() -> None:
    op.create_table(
        "bulk_operations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("packages", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("left_alone", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("waits_for", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_operations")),
    )
    op.create_index("ix_bulk_operations_state", "bulk_operations", ["state"])


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("place", name=op.f("uq_deliveries_place")),
    )
    op.create_index("ix_deliveries_ended_at", "deliveries", ["ended_at"])
    op.create_index("ix_deliveries_job_id", "deliveries", ["job_id"])
    op.create_index("ix_deliveries_state", "deliveries", ["state", "host", "due_at"])


def _create_former_jobs() -> None:
    op.create_table(
        "former_jobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_jobs")),
    )


def _create_freed() -> None:
    op.create_table(
        "freed",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_freed")),
    )


def _create_input_blobs() -> None:
    op.create_table(
        "input_blobs",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_input_blobs_job_id")),
        sa.PrimaryKeyConstraint("sha256", "job_id", name=op.f("pk_input_blobs")),
    )
    op.create_index("ix_input_blobs_job_id", "input_blobs", ["job_id"])


def _create_job_labels() -> None:
    op.create_table(
        "job_labels",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_labels_job_id")),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("pk_job_labels")),
    )
    op.create_index("ix_job_labels_name", "job_labels", ["name", "value", "job_id"])


def _create_pins() -> None:
    op.create_table(
        "pins",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_pins_job_id")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_pins")),
    )


def _create_policies() -> None:
    op.create_table(
        "policies",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_policies")),
    )


def _create_presets() -> None:
    op.create_table(
        "presets",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", "name", name=op.f("pk_presets")),
    )


def _create_questions() -> None:
    op.create_table(
        "questions",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("schema", sa.JSON(), nullable=False),
        sa.Column("fallback", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=False),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_questions_job_id")),
        sa.PrimaryKeyConstraint("job_id", "key", name=op.f("pk_questions")),
    )
    op.create_index("ix_questions_expires_at", "questions", ["answered_at", "expires_at"])


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("states", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sees_all", sa.Boolean(), nullable=False),
        sa.Column("packages", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )


def _fill_what_there_is() -> None:
    """Write down the codes of errors and the digests of inputs, a thousand jobs at a time."""
    connection = op.get_bind()
    jobs = sa.table("jobs", *map(sa.column, ("id", "error", "inputs", "error_code")))
    names = sa.table("input_blobs", *map(sa.column, ("sha256", "job_id", "size_bytes")))
    query = sa.select(jobs.c.id, jobs.c.error, jobs.c.inputs).order_by(jobs.c.id).limit(1000)
    last = ""
    while rows := connection.execute(query.where(jobs.c.id > last)).all():
        last = rows[-1].id
        for row in rows:
            sizes = {one["sha256"]: one["size_bytes"] for one in _plain(row.inputs) or ()}
            for digest, size in sizes.items():
                name = {"sha256": digest, "job_id": row.id, "size_bytes": size}
                connection.execute(names.insert().values(name))
            if error := _plain(row.error):
                change = jobs.update().where(jobs.c.id == row.id)
                connection.execute(change.values(error_code=error["code"]))


def _plain(value: Any) -> Any:
    """Return JSON as it is, whether the driver has read it or not."""
    return json.loads(value) if isinstance(value, str) else value


def downgrade() -> None:
    """Refuse: nothing goes back to an older schema."""
    raise NotImplementedError
