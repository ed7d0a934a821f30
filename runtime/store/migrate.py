"""Bring the database to the schema of this release, under a lock."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(engine: Engine, *, lock_file: Path) -> None:
    """Run the migrations that are missing; other processes wait meanwhile."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with _exclusively(lock_file), engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _exclusively(lock_file: Path) -> Generator[None]:
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed
        yield
