"""`fumehood run`: a job from its order to its outputs, as if it were a program."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import Inputs, Pairs, Parameters
from runtime.cli.input.conditions import Labels, labels_of
from runtime.cli.input.files import input_of
from runtime.cli.input.parameters import parameters_of
from runtime.cli.jobs.job import (
    Timeout,
    exit_as,
    fetch_outputs,
    name_and_version,
    to_the_end,
)
from runtime.cli.output.job_text import job_facts
from runtime.cli.output.printing import AsJson, emit, say
from runtime.client.operations import submit_job


def run(
    package: Annotated[str, typer.Argument(help="NAME, or NAME@VERSION.")],
    files: Inputs = None,
    outputs_to: Annotated[
        Path | None, typer.Option("--outputs", "-o", help="Fetch the outputs into this folder.")
    ] = None,
    parameter: Pairs = None,
    parameters: Parameters = "{}",
    label: Labels = None,
    timeout: Timeout = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Submit a job, follow its log, fetch its outputs; exit 0 if it succeeds, else 1.

    With --timeout it exits 75 after that long, and the job goes on without us.
    """
    name, version = name_and_version(package)
    given = parameters_of(parameters, pairs=parameter or ())
    with connected() as client, ExitStack() as stack:
        inputs = [input_of(path, stack=stack) for path in files or ()]
        call = submit_job(
            name,
            version=version,
            parameters=given,
            inputs=inputs,
            around={"labels": labels_of(label)},
        )
        job_id = client.ask(call)["id"]
        say(job_id)
        job = to_the_end(client, job_id, timeout=timeout)
        if outputs_to:
            fetch_outputs(client, job_id, folder=outputs_to)
    emit(job, as_json=as_json, show=job_facts)
    exit_as(job, waited=True)
