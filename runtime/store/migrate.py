"""Bring the database to the schema of this release, under a lock."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from wheelhouse.locks import exclusive

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(engine: Engine, *, lock_file: Path) -> None:
    """Run the migrations that are missing; other processes wait meanwhile."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with exclusive(lock_file), engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
