"""How often each token may ask; what a session may that a provider vouched for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what there is, is as the settings, its token or its link say."""
    with op.batch_alter_table("tokens") as tokens:
        tokens.add_column(sa.Column("requests_per_minute", sa.Integer(), nullable=True))
    with op.batch_alter_table("sessions") as sessions:
        sessions.add_column(sa.Column("scopes", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Refuse: nothing goes back to an older schema."""
    raise NotImplementedError
