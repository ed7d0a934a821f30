"""The cluster of a database, what jobs need and workers offer, and text in the order of its bytes.

The last for PostgreSQL: lists go on by what is greater, and a collation of some language would put
`b` before `B`, or take two names for one place in a list.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = sa.text(
    "SELECT table_name, column_name, data_type FROM information_schema.columns "
    "WHERE table_schema = current_schema() AND data_type IN ('character varying', 'text') "
    "AND table_name <> 'alembic_version' AND collation_name IS DISTINCT FROM 'C' "
    "ORDER BY table_name, column_name"
)


def upgrade() -> None:
    """Make the table, and give every column of text the order of its bytes."""
    op.create_table(
        "cluster",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("docket", sa.String(), nullable=False),
        sa.Column("docket_name", sa.String(), nullable=False),
        sa.Column("blobs", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cluster")),
    )
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("needs", sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("workers") as workers:
        workers.add_column(sa.Column("offers", sa.String(), nullable=False, server_default=""))
        workers.add_column(sa.Column("serves", sa.String(), nullable=False, server_default=""))
        workers.add_column(sa.Column("level", sa.String(), nullable=False, server_default=""))
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    quote = connection.dialect.identifier_preparer.quote
    by_table: dict[str, list[str]] = {}
    for table, name, kind in connection.execute(COLUMNS):
        change = f'ALTER COLUMN {quote(name)} TYPE {kind} COLLATE "C"'
        by_table.setdefault(table, []).append(change)
    for table, changes in by_table.items():
        op.execute(f"ALTER TABLE {quote(table)} {', '.join(changes)}")


def downgrade() -> None:
    """Refuse: nothing goes back to an older schema."""
    raise NotImplementedError
