"""What belongs to a job beside its row: labels, the batch, the names of its inputs' bytes.

Where a job has none of it nothing is written: a plain submission costs what it did.
"""

from dataclasses import replace

from sqlalchemy import Connection

from runtime.faults.errors import StateConflict
from runtime.store.lists import batches
from runtime.store.schema.tables_around import input_blobs, job_labels
from runtime.values.records import Job

INSERT_LABELS = job_labels.insert()
INSERT_NAMES = input_blobs.insert()


def joined(connection: Connection, job: Job) -> Job:
    """Return `job` as a part of the batch that its order names, by the id of that."""
    if job.batch is None:
        return job
    batch = batches.to_join(connection, owner=job.request.principal, name=job.batch)
    return replace(job, batch=batch.id)


def refuse_without_inputs(job: Job) -> None:
    """Raise StateConflict for a job that cannot run again: its inputs went after their time."""
    if job.inputs and job.inputs_gone_at is not None:
        raise StateConflict(
            f"The inputs of job {job.id} were kept for their time, and went",
            where=job.id,
            mend="submit it anew with its inputs; `fumehood job pin ID` keeps those of a job",
        )


def note(connection: Connection, job: Job) -> None:
    """Write down by which labels a job is found, and which bytes it names."""
    if job.labels:
        rows = [{"job_id": job.id, "name": n, "value": v} for n, v in job.labels.items()]
        connection.execute(INSERT_LABELS, rows)
    if job.inputs:
        sizes = {one.sha256: one.size_bytes for one in job.inputs}
        rows = [{"sha256": d, "job_id": job.id, "size_bytes": n} for d, n in sizes.items()]
        connection.execute(INSERT_NAMES, rows)
