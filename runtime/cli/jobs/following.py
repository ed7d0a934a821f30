"""Follows a job from its order to its end, over restarts of the appliance, and fetches from it.

A stream ends when the appliance stops, too: only the job itself says that it has ended. While
nobody answers it is asked again, from the last event that came.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.input.spans import minutes_of
from runtime.cli.output.job_text import event_line, with_artifact
from runtime.cli.output.printing import say
from runtime.client.client import Client, Refused, Unreachable
from runtime.client.operations import get_artifact, get_job, get_output, list_outputs
from runtime.client.views import Event, OutputView
from runtime.faults.errors import ServerUnreachable, StillRunning
from runtime.problem_table import EXIT_JOB_FAILED
from runtime.values.states import FINAL, State

Timeout = Annotated[
    str | None,
    typer.Option("--timeout", help="Wait no longer than that (30s, 15m, 2h); then exit 75."),
]
PATIENCE_S = 120.0
ASK_AGAIN_S = 0.5


def to_its_end(
    client: Client, job_id: str, *, after: int = 0, within_s: float | None = None
) -> Iterator[Event]:
    """Yield the events of a job until it has ended. Raises ServerUnreachable after a while.

    Raises StillRunning after `within_s` seconds. The job goes on without us, so either fault says
    how it is followed further.
    """
    away_since: float | None = None
    until = None if within_s is None else time.monotonic() + within_s
    while True:
        try:
            for event in client.follow(job_id, after=after, quiet_s=_left(until, job_id=job_id)):
                after, away_since = event["seq"], None
                yield event
                _left(until, job_id=job_id)
            if State(client.ask(get_job(job_id))["state"]) in FINAL:
                return
            away_since = None
        except Unreachable as error:
            _left(until, job_id=job_id)
            if away_since is None:
                say("the appliance does not answer: waiting for it to come back")
                away_since = time.monotonic()
            if time.monotonic() - away_since > PATIENCE_S:
                raise _given_up(client.url, job_id) from error
        time.sleep(ASK_AGAIN_S)


def _left(until: float | None, *, job_id: str) -> float | None:
    """Return how many seconds are left; None for no end. Raises StillRunning when it is over."""
    if until is None:
        return None
    left_s = until - time.monotonic()
    if left_s > 0:
        return left_s
    raise StillRunning(
        f"Job {job_id} has not ended in the time that it was waited for",
        where=job_id,
        mend=f"the job goes on without us: `fumehood job logs -f {job_id}` follows it further",
    )


def _given_up(url: str, job_id: str) -> ServerUnreachable:
    return ServerUnreachable(
        f"The appliance did not come back within {PATIENCE_S:.0f} seconds",
        where=url,
        mend=f"the job goes on without us: `fumehood job logs -f {job_id}` follows it further",
    )


def name_and_version(package: str) -> tuple[str, str | None]:
    """Return the name and the version that NAME or NAME@VERSION says. Raises BadParameter."""
    name, is_pinned, version = package.partition("@")
    if not name or (is_pinned and not version):
        raise typer.BadParameter(f"{package} is not NAME or NAME@VERSION", param_hint="package")
    return name, version or None


def to_the_end(client: Client, job_id: str, *, timeout: str | None = None) -> Mapping[str, Any]:
    """Say what a job says until it has ended; return it then. Raises StillRunning."""
    within_s = None if timeout is None else minutes_of(timeout) * 60
    for event in to_its_end(client, job_id, within_s=within_s):
        if line := event_line(event):
            say(line)
    return whole(client, job_id)


def whole(client: Client, job_id: str) -> Mapping[str, Any]:
    """Return a job with the result and the start that its artifact tells, where it has one."""
    job = client.ask(get_job(job_id))
    if job["state"] == "queued":
        return job
    try:
        return with_artifact(job, client.ask(get_artifact(job_id)))
    except Refused:
        return job


def exit_as(job: Mapping[str, Any], *, waited: bool) -> None:
    """Exit 1 where a job that was waited for did not succeed."""
    if waited and job["state"] != "succeeded":
        raise typer.Exit(EXIT_JOB_FAILED)


def fetch_outputs(
    client: Client, job_id: str, *, folder: Path, attempt: int | None = None
) -> list[OutputView]:
    """Fetch all outputs of a job into a folder; return them."""
    found = list(client.every(list_outputs(job_id, attempt=attempt)))
    for output in found:
        path = output["path"]
        client.save(get_output(job_id, path, attempt=attempt), to=folder / path)
        say(f"fetched {folder / path}")
    return found
