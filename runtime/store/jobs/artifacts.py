"""Artifacts that are kept in the store: each comes with the end of its attempt, or not at all."""

from sqlalchemy import Connection, bindparam, delete, select

from runtime.store.schema.tables import artifacts
from runtime.store.statements.prepared import Prepared
from runtime.values.records import SavedArtifact

KEEP = Prepared(artifacts.insert())
KEPT = Prepared(
    select(artifacts.c.content).where(
        artifacts.c.job == bindparam("of_job"), artifacts.c.attempt == bindparam("of_attempt")
    )
)


def keep(
    connection: Connection, *, job_id: str, attempt: int, artifact: SavedArtifact | None
) -> None:
    """Keep the artifact of an attempt, unless it lies in a file."""
    if artifact is not None and artifact.content is not None:
        KEEP.run(connection, {"job": job_id, "attempt": attempt, "content": artifact.content})


def kept(connection: Connection, *, job_id: str, attempt: int) -> bytes | None:
    """Return the artifact of an attempt, if it is here."""
    row = KEPT.first(connection, {"of_job": job_id, "of_attempt": attempt})
    return None if row is None else bytes(row.content)


def forget(connection: Connection, *, job_id: str) -> None:
    """Let go of the artifacts of a job."""
    connection.execute(delete(artifacts).where(artifacts.c.job == job_id))
