"""Runs alembic over the migrations of this release."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from runtime.store.schema.migrate import MIGRATIONS, refuse_newer


def upgrade(connection: Connection) -> None:
    """Run the migrations that `connection` has not seen; raise StoreNewer where it has seen more.

    Nothing of it is changed then: an older version of ours does not know what it would break.
    """
    refuse_newer(connection)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
