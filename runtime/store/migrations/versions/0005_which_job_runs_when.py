"""Retries, keys, pauses, schedules and dead letters: what says which job runs when."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
FEW = {
    "held_by": ["held_by", "turn", "id"],
    "slot_key": ["slot_key", "state", "held_by"],
    "rate_key": ["rate_key", "state", "held_by"],
    "unique_key": ["unique_key", "state"],
    "expires_at": ["state", "expires_at"],
}


def upgrade() -> None:
    """Add the columns and the tables; what waits has the priority and the rules it had: none."""
    _add_to_jobs()
    with op.batch_alter_table("workers") as workers:
        workers.add_column(_text("platform", default=""))
        workers.add_column(sa.Column("drained_at", MOMENT, nullable=True))
        workers.add_column(_text("drained_by", default=""))
    with op.batch_alter_table("activations") as activations:
        activations.add_column(sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    _create_pauses()
    _create_dead_letters()
    _create_schedules()


def _add_to_jobs() -> None:
    number = sa.Integer()
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(
            sa.Column("claimed_turn", sa.BigInteger(), nullable=False, server_default="0")
        )
        jobs.add_column(sa.Column("priority", number, nullable=False, server_default="0"))
        jobs.add_column(_text("due_why", default=""))
        jobs.add_column(sa.Column("expires_at", MOMENT, nullable=True))
        jobs.add_column(sa.Column("held_by", sa.String(), nullable=True))
        jobs.add_column(sa.Column("retry", sa.JSON(), nullable=True))
        jobs.add_column(sa.Column("counted_from", number, nullable=False, server_default="1"))
        jobs.add_column(sa.Column("slot_key", sa.String(), nullable=True))
        jobs.add_column(sa.Column("slot_most", number, nullable=True))
        jobs.add_column(sa.Column("rate_key", sa.String(), nullable=True))
        jobs.add_column(sa.Column("rate_between_s", sa.Float(), nullable=True))
        jobs.add_column(sa.Column("unique_key", sa.String(), nullable=True))
        jobs.add_column(sa.Column("schedule_id", sa.String(), nullable=True))
        jobs.drop_index("ix_jobs_line")
    op.execute("UPDATE jobs SET due_why = 'backoff' WHERE state = 'queued' AND attempt > 1")
    op.create_index("ix_jobs_line", "jobs", ["package", "owner", "priority", "state", "turn"])
    for name, columns in FEW.items():
        where = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_jobs_{name}", "jobs", columns, sqlite_where=where, postgresql_where=where
        )


def _create_pauses() -> None:
    op.create_table(
        "pauses",
        _text("subject"),
        _text("who"),
        _text("reason"),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("subject", name="pk_pauses"),
    )
    op.create_table(
        "rates",
        _text("key"),
        sa.Column("next_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_rates"),
    )
    op.create_index("ix_rates_next_at", "rates", ["next_at"])


def _create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        _text("job_id"),
        sa.Column("at", MOMENT, nullable=False),
        _text("code"),
        _text("phase"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_dead_letters_job_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name="pk_dead_letters"),
    )


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        *(_text(name) for name in ("id", "name", "owner", "package")),
        sa.Column("version", sa.String(), nullable=True),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("parameters", "inputs")),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("retry", sa.JSON(), nullable=True),
        _text("cron"),
        sa.Column("every_s", sa.Integer(), nullable=True),
        *(_text(name) for name in ("zone", "missed", "overlap")),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("last_job_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
        sa.UniqueConstraint("owner", "name", name="uq_schedules_owner"),
    )
    op.create_index("ix_schedules_next_at", "schedules", ["next_at"])
    op.create_table(
        "ticks",
        _text("schedule_id"),
        sa.Column("at", MOMENT, nullable=False),
        _text("outcome"),
        sa.Column("job_id", sa.String(), nullable=True),
        _text("told"),
        sa.Column("noted_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name="fk_ticks_schedule_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("schedule_id", "at", name="pk_ticks"),
    )
    op.create_index("ix_ticks_noted_at", "ticks", ["noted_at"])


def _text(name: str, *, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False, server_default=default)
