"""Short artifacts, kept with the end of their attempt; what was saved before stays in its file."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    # In PostgreSQL text is in the order of its bytes, as in 0007.
    is_postgres = op.get_bind().dialect.name == "postgresql"
    text = sa.String(collation="C") if is_postgres else sa.String()
    op.create_table(
        "artifacts",
        sa.Column("job", text, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job", "attempt", name="pk_artifacts"),
    )


def downgrade() -> None:
    """Refuse: nothing goes back to an older schema."""
    raise NotImplementedError
