"""Runs alembic over the migrations of this release."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from runtime.errors import StoreNewer
from runtime.store.migrate import MIGRATIONS, applied, newest


def upgrade(connection: Connection) -> None:
    """Run the migrations that `connection` has not seen; raise StoreNewer where it has seen more.

    Nothing of it is changed then: an older version of ours does not know what it would break.
    """
    seen = applied(connection)
    if seen is not None and seen > newest():
        raise StoreNewer(
            f"The database has seen migration {seen}, and this version of ours knows {newest()}",
            where="the database",
            mend="install the version of fumehood that was used last, or a later one",
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
