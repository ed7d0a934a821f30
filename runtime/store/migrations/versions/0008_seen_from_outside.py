"""Totals that only rise, and what workers tell of themselves: what metrics are read from."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the totals; jobs that have ended already are counted, as far as they are still there."""
    # In PostgreSQL text is in the order of its bytes, as in 0007.
    is_postgres = op.get_bind().dialect.name == "postgresql"
    text = sa.String(collation="C") if is_postgres else sa.String()
    op.create_table(
        "job_endings",
        sa.Column("package", text, nullable=False),
        sa.Column("state", text, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("package", "state", name="pk_job_endings"),
    )
    op.create_table(
        "totals",
        sa.Column("name", text, nullable=False),
        sa.Column("labels", text, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name="pk_totals"),
    )
    op.add_column("workers", sa.Column("reading", sa.JSON(), nullable=True))
    op.create_index("ix_packages_created_at", "packages", ["created_at", "name"])
    op.execute(
        "INSERT INTO job_endings (package, state, value) "
        "SELECT package, state, count(*) FROM jobs "
        "WHERE state IN ('succeeded', 'failed', 'cancelled') GROUP BY package, state"
    )
    op.execute(
        "INSERT INTO totals (name, labels, value) "
        "SELECT 'gate_fetches', '{}', count(*) FROM audit WHERE action = 'gate.fetch'"
    )


def downgrade() -> None:
    """Refuse: nothing goes back to an older schema."""
    raise NotImplementedError
