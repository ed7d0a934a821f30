"""Whose turn it is, when a job is due, by which key it was sent, and how to list jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what waits is due since it waits."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
        jobs.add_column(sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"))
        jobs.add_column(sa.Column("platform", sa.String(), nullable=False, server_default=""))
    op.execute("UPDATE jobs SET due_at = queued_at")
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("due_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        jobs.drop_index("ix_jobs_state")
    op.create_index("ix_jobs_turn", "jobs", ["state", "turn", "id"])
    op.create_index("ix_jobs_line", "jobs", ["package", "owner", "state", "turn"])
    op.create_index("ix_jobs_state", "jobs", ["state", "id"])
    op.create_index("ix_jobs_package_state", "jobs", ["package", "state", "id"])
    op.create_index("ix_jobs_owner_state", "jobs", ["owner", "state", "id"])
    _count_what_there_is()
    op.create_table(
        "submissions",
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_submissions_job_id"),
        sa.PrimaryKeyConstraint("principal", "key", name="pk_submissions"),
    )
    op.create_index("ix_submissions_at", "submissions", ["at"])


def _count_what_there_is() -> None:
    jobs = sa.table("jobs", sa.column("state"))
    counters = sa.table("counters", sa.column("name"), sa.column("value"))
    op.execute(counters.delete().where(counters.c.name.like("jobs-%")))
    for state in ("queued", "succeeded", "failed", "cancelled"):
        counted = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state == state)
        values = {"name": f"jobs-{state}", "value": counted.scalar_subquery()}
        op.execute(counters.insert().values(values))


def downgrade() -> None:
    """Refuse: nothing goes back to an older schema."""
    raise NotImplementedError
