"""How often each token may ask."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a token that there is may ask as often as the settings say."""
    with op.batch_alter_table("tokens") as tokens:
        tokens.add_column(sa.Column("requests_per_minute", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Refuse: nothing goes back to an older schema."""
    raise NotImplementedError
