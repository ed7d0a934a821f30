"""The artifact of an attempt that has no file: it is under way, or its worker was lost.

Rendered from what the store has of it, which is as true as the last event that was written: each
phase tells there how it ended, so that nothing has to be written twice while a job runs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import Connection

from packages.environment.inventory import INVENTORY_JSON
from runtime.artifact import steps
from runtime.artifact.entries import environment_entry, install_entry
from runtime.artifact.model import Artifact, UsageEntry
from runtime.faults.errors import NotFound
from runtime.store.access import gate
from runtime.store.jobs import events, jobs
from runtime.store.packages import activations
from runtime.values.records import Activation, Attempt, Claim, Event, JsonObject, Worker


def narrated(connection: Connection, *, job_id: str, attempt: int) -> Artifact:
    """Return the artifact of an attempt as far as it is known; raise NotFound before it began."""
    job, attempts = jobs.with_attempts(connection, job_id=job_id)
    told = events.narrative(connection, job_id=job_id, attempt=attempt)
    one = next((one for one in attempts if one.number == attempt), None)
    if one is None or one.started_at is None or not told:
        raise NotFound(
            f"Attempt {attempt} of job {job_id} has no artifact yet",
            where=f"{job_id}/{attempt}",
            mend="it is written when the attempt begins; ask again then",
        )
    activation = activations.get(connection, activation_id=job.activation_id)
    claim = Claim(
        job=replace(job, attempt=attempt, state=one.state, started_at=one.started_at),
        activation=activation,
        attempts=tuple(other for other in attempts if other.number <= attempt),
        gate=gate.get(connection),
    )
    artifact = steps.begin(claim, worker=_worker(one, told))
    for event in told:
        artifact = _continued(artifact, event, activation=activation)
    if one.state.is_final and one.finished_at:
        artifact = steps.with_ending(artifact, state=one.state, error=one.error, at=one.finished_at)
    return artifact


def _worker(attempt: Attempt, told: Iterable[Event]) -> Worker:
    """Return who ran the attempt, as it said itself when it began."""
    nothing: JsonObject = {}
    said = next((one.data for one in told if one.event == "job.started"), nothing)
    started_at = attempt.started_at or attempt.queued_at
    return Worker(
        id=attempt.worker or "",
        host=str(said.get("host", "")),
        version=str(said.get("version", "")),
        slots=0,
        started_at=started_at,
        seen_at=started_at,
    )


def _continued(artifact: Artifact, event: Event, *, activation: Activation) -> Artifact:
    """Return the artifact with what `event` tells of a phase that ended."""
    data = cast("Mapping[str, Any]", event.data)
    if data.get("state") != "ended":
        return artifact
    took_ms = float(data.get("duration_ms") or 0)
    name = str(data.get("phase"))
    artifact = steps.with_phase(
        artifact,
        phase=name,
        started_at=event.at - timedelta(milliseconds=took_ms),
        ended_at=event.at,
    )
    if name == "environment":
        return _with_environment(artifact, data, activation=activation)
    if name == "extract" and "wall_ms" in data:
        usage = {field: data[field] for field in UsageEntry.model_fields}
        return artifact.model_copy(update={"usage": UsageEntry.model_validate(usage)})
    return artifact


def _with_environment(
    artifact: Artifact, data: Mapping[str, Any], *, activation: Activation
) -> Artifact:
    prepared = activation.prepared
    if prepared is None:
        return artifact
    return steps.with_environment(
        artifact,
        environment=environment_entry(INVENTORY_JSON.validate_python(dict(prepared.inventory))),
        install=install_entry(
            prepared,
            duration_ms=float(data.get("environment_ms", 0)),
            is_reused=bool(data.get("reused", True)),
        ),
    )
