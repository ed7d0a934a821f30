"""`fumehood job pin|unpin|delete`: what of a job stays, and what goes now."""

from typing import Annotated

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import JobId
from runtime.cli.output.printing import AsJson, emit, say
from runtime.client.around import delete_job, pin_job, unpin_job

Reason = Annotated[str, typer.Option("--reason", "-r", help="Why.")]


def pin(job_id: JobId, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Keep a job with all that it has, whatever its time."""
    with connected() as client:
        told = client.ask(pin_job(job_id, reason=reason))
    emit(told, as_json=as_json, show=lambda one: f"{one['job_id']} is kept")


def unpin(job_id: JobId) -> None:
    """Let a job go after its time."""
    with connected() as client:
        client.ask(unpin_job(job_id))
    say(f"{job_id} may go after its time")


def delete(job_id: JobId, reason: Reason = "") -> None:
    """Delete a job that has ended, with its bytes and its artifacts; it is audited."""
    with connected() as client:
        client.ask(delete_job(job_id, reason=reason))
    say(f"{job_id} is gone")
