"""Runs alembic over the migrations of this release."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from runtime.store.migrate import MIGRATIONS


def upgrade(connection: Connection) -> None:
    """Run the migrations that `connection` has not seen."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
