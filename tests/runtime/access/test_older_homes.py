"""A home from before there were principals knows whose its jobs are, afterwards."""

import json
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from runtime.store.databases.sqlite import sqlite_engine
from runtime.store.schema.migrate import MIGRATIONS, migrate

ROWS = (
    "INSERT INTO packages (name, created_at) VALUES ('p', '2026-01-01')",
    "INSERT INTO versions (package, version, digest, size_bytes, title, manifest, requirements, "
    "uploaded_at, uploaded_by) VALUES ('p', '1', 'd', 1, '', '{}', '[]', '2026-01-01', 'x')",
    "INSERT INTO activations (id, package, version, digest, state, who, reason, requested_at, "
    "problems, traceback, log) VALUES ('a', 'p', '1', 'd', 'succeeded', 'x', '', '2026-01-01', "
    "'[]', '', '[]')",
    "INSERT INTO jobs (id, package, version, digest, activation_id, state, attempt, parameters, "
    "inputs, request, submitted_at, queued_at) VALUES ('j', 'p', '1', 'd', 'a', 'queued', 1, "
    "'{}', '[]', '" + json.dumps({"principal": "anonymous"}) + "', '2026-01-01', '2026-01-01')",
)


def test_whose_a_job_is_is_written_down_at_the_upgrade(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "old.db")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for row in ROWS:
            connection.exec_driver_sql(row)
    migrate(engine, lock_file=tmp_path / "lock")
    with engine.begin() as connection:
        owner = connection.execute(text("SELECT owner FROM jobs WHERE id = 'j'")).scalar()
    engine.dispose()
    assert owner == "anonymous"


def test_which_bytes_a_job_names_and_how_it_failed_is_written_down(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "old.db")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    inputs = json.dumps([{"name": "a", "size_bytes": 7, "sha256": "sha256:1", "media_type": "x"}])
    error = json.dumps({"code": "over-limit", "what": "w", "mend": "", "kind": "package"})
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for row in ROWS:
            connection.exec_driver_sql(row)
        connection.exec_driver_sql(
            "UPDATE jobs SET state = 'failed', inputs = ?, error = ?", (inputs, error)
        )
    migrate(engine, lock_file=tmp_path / "lock")
    with engine.begin() as connection:
        named = connection.execute(text("SELECT job_id, sha256, size_bytes FROM input_blobs")).all()
        code = connection.execute(text("SELECT error_code, labels FROM jobs")).one()
    engine.dispose()
    assert [tuple(one) for one in named] == [("j", "sha256:1", 7)]
    assert tuple(code) == ("over-limit", "{}")
