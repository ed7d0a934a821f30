"""Jobs that were claimed and never begun wait again, as if nobody had claimed them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from runtime.store.jobs import admission, claims, events, job_changes
from runtime.store.jobs import jobs as job_store
from runtime.store.jobs.events import Happening
from runtime.values.records import Finish, Job, JsonObject
from runtime.values.states import Change, State, after

WHY = "its cells were taken for longer than expected"


def unclaim(
    connection: Connection,
    *,
    job_id: str,
    token: str,
    at: datetime,
    before: Sequence[Happening] = (),
) -> Job:
    """Let a job wait again that `token` holds: the same attempt, where it stood in its line.

    `before` are events that are not stored yet. What the claim has let go by the rate of the job is
    not called back, so no job with a rate is claimed in vain. Raises Superseded.
    """
    job = claims.held(connection, job_id, token=token)
    if job.cancel_requested_at:
        ending = Finish(state=State.CANCELLED)
        return claims.finish(
            connection, job_id=job_id, token=token, finish=ending, at=at, before=before
        )
    admission.readmit(connection)
    waits = {"state": after(job.state, change=Change.GIVE_BACK)}
    waits |= dict.fromkeys(("token", "worker", "started_at"))
    job_changes.change_job(connection, job_id=job_id, values=waits)
    job_changes.change_attempt(connection, job_id=job_id, number=job.attempt, values=waits)
    told: JsonObject = {"worker": job.worker, "why": WHY}
    events.append(
        connection,
        job_id=job_id,
        attempt=job.attempt,
        happenings=[*before, (at, "job.unclaimed", told)],
    )
    return job_store.get(connection, job_id=job_id)
