"""`fumehood job list`: jobs by a filter."""

from typing import Annotated

import typer

from runtime.cli.client import connected
from runtime.cli.input.conditions import Conditions, with_conditions
from runtime.cli.output.job_text import job_rows
from runtime.cli.output.printing import AsJson, emit
from runtime.client.around import list_jobs as jobs_there


@with_conditions
def list_jobs(
    *,
    wanted: Conditions,
    preset: Annotated[str | None, typer.Option(help="A filter that was saved.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the jobs that meet all conditions, the last submitted first."""
    with connected() as client:
        found = list(client.every(jobs_there(**wanted, preset=preset), most=limit))
    emit(found, as_json=as_json, show=job_rows)
