"""`fumehood job`: submit, follow, fetch, cancel, try again."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import Inputs, JobId, Pairs, Parameters
from runtime.cli.input.conditions import Labels, labels_of
from runtime.cli.input.files import input_of
from runtime.cli.input.moments import (
    Attempts,
    Backoff,
    Expires,
    Newest,
    NotBefore,
    Priority,
    RetryOn,
    Unique,
    moment_of,
    retry_of,
)
from runtime.cli.input.parameters import parameters_of
from runtime.cli.jobs import dead_letters
from runtime.cli.jobs.following import (
    Timeout,
    exit_as,
    fetch_outputs,
    name_and_version,
    to_its_end,
    to_the_end,
    whole,
)
from runtime.cli.output.job_text import event_line, job_facts
from runtime.cli.output.printing import AsJson, as_text, emit, emit_line, harmless, say, table
from runtime.client.client import Client
from runtime.client.operations import (
    cancel_job,
    get_artifact,
    get_job,
    get_output,
    list_outputs,
    read_events,
    retry_job,
    submit_job,
)
from runtime.client.views import Event, When

app = typer.Typer(no_args_is_help=True, help="Submit jobs, follow them, fetch what they left.")
app.add_typer(dead_letters.app, name="dead")
app.command("why")(dead_letters.why)
Attempt = Annotated[int | None, typer.Option(min=1, help="Which attempt; the last by default.")]
OutputsTo = Annotated[
    Path | None, typer.Option("--outputs", "-o", help="With --wait: fetch outputs there.")
]
Key = Annotated[
    str, typer.Option(help="Idempotency-Key: the same order by the same key is the same job.")
]


@app.command()
def submit(
    package: Annotated[str, typer.Argument(help="NAME, or NAME@VERSION.")],
    files: Inputs = None,
    parameter: Pairs = None,
    parameters: Parameters = "{}",
    outputs_to: OutputsTo = None,
    key: Key = "",
    label: Labels = None,
    batch: Annotated[str, typer.Option(help="The batch that it is a part of.")] = "",
    webhook: Annotated[str, typer.Option(help="Whom to tell when it has ended (URL).")] = "",
    timeout: Timeout = None,
    not_before: NotBefore = "",
    expires: Expires = "",
    unique: Unique = "",
    priority: Priority = 0,
    attempts: Attempts = None,
    backoff_s: Backoff = 1.0,
    retry_on: RetryOn = None,
    *,
    newest: Newest = False,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Follow it to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a job. With --wait: show its log on stderr, exit 1 if it does not succeed.

    It waits for an appliance that is restarted; where that does not come back it exits 75, as it
    does after --timeout: the job goes on without us.
    """
    _judge_waiting(wait=wait, options={"--outputs": outputs_to, "--timeout": timeout})
    name, version = name_and_version(package)
    around = {"labels": labels_of(label), "batch": batch, "webhook": webhook}
    retry = retry_of(attempts, backoff_s=backoff_s, on=retry_on)
    when = _when(
        retry=retry, times=(not_before, expires), unique=unique, newest=newest, priority=priority
    )
    with connected() as client, ExitStack() as stack:
        call = submit_job(
            name,
            version=version,
            parameters=parameters_of(parameters, pairs=parameter or ()),
            inputs=[input_of(path, stack=stack) for path in files or ()],
            key=key,
            when=when,
            around={name: value for name, value in around.items() if value},
        )
        job: Mapping[str, Any] = client.ask(call)
        if wait:
            job = _followed(client, job["id"], timeout=timeout, outputs_to=outputs_to)
    emit(job, as_json=as_json, show=job_facts if wait else lambda one: one["id"])
    exit_as(job, waited=wait)


def _judge_waiting(*, wait: bool, options: Mapping[str, Any]) -> None:
    """Raise typer.BadParameter for an option that only who waits can want."""
    for option, value in options.items():
        if value and not wait:
            raise typer.BadParameter(f"{option} needs --wait", param_hint=option)


def _followed(
    client: Client, job_id: str, *, timeout: str | None, outputs_to: Path | None
) -> Mapping[str, Any]:
    say(job_id)  # so that it can be found again, whatever becomes of us
    job = to_the_end(client, job_id, timeout=timeout)
    if outputs_to:
        fetch_outputs(client, job_id, folder=outputs_to)
    return job


def _when(
    *,
    retry: Mapping[str, Any] | None,
    times: tuple[str, str],
    unique: str,
    newest: bool,
    priority: int,
) -> When:
    """Return what an order says of when it runs; `times` are the first and the last."""
    return {
        "retry": retry,
        "not_before": moment_of(times[0], option="--not-before"),
        "expires_at": moment_of(times[1], option="--expires"),
        "unique": unique,
        "keep": "newest" if newest else "first",
        "priority": priority,
    }


@app.command()
def show(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Show a job: its state, times, how it started, its result, and why it failed."""
    with connected() as client:
        emit(whole(client, job_id), as_json=as_json, show=job_facts)


@app.command()
def logs(
    job_id: JobId,
    after: Annotated[int, typer.Option(min=0, help="Only what follows this number.")] = 0,
    *,
    is_live: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until it ends; exit as the job does.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what a job said and did; --json prints the events as NDJSON."""
    with connected() as client:
        read = to_its_end if is_live else _stored
        for event in read(client, job_id, after=after):
            if as_json:
                emit_line(event)
            elif line := event_line(event):
                print(harmless(line), flush=True)
        job = client.ask(get_job(job_id))
    exit_as(job, waited=is_live)


def _stored(client: Client, job_id: str, *, after: int) -> Iterator[Event]:
    yield from map(json.loads, client.ask(read_events(job_id, after=after)).splitlines())


@app.command()
def artifact(
    job_id: JobId,
    attempt: Attempt = None,
    output: Annotated[Path | None, typer.Option("-o", help="Write it to this file.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the artifact: what ran, with which versions, behind which walls (it is JSON)."""
    call = get_artifact(job_id, attempt=attempt)
    with connected() as client:
        if output:
            client.save(call, to=output)
        else:
            print(as_text(client.ask(call), indent=2))


@app.command()
def outputs(
    job_id: JobId,
    attempt: Attempt = None,
    folder: Annotated[
        Path | None, typer.Option("--to", "-o", help="Fetch all of them into this folder.")
    ] = None,
    path: Annotated[str | None, typer.Option(help="Print this one output on stdout.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the outputs of a job, or fetch them."""
    with connected() as client:
        if path:
            client.download(get_output(job_id, path, attempt=attempt), to=sys.stdout.buffer)
            sys.stdout.flush()
            return
        if folder:
            found = fetch_outputs(client, job_id, folder=folder, attempt=attempt)
        else:
            found = list(client.every(list_outputs(job_id, attempt=attempt)))
    columns = ("path", "size_bytes", "sha256", "media_type")
    emit(found, as_json=as_json, show=lambda rows: table(rows, columns=columns))


@app.command()
def cancel(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Cancel a job: at once while it waits, by stopping its cell while it runs."""
    with connected() as client:
        job = client.ask(cancel_job(job_id))
    emit(job, as_json=as_json, show=job_facts)


@app.command()
def retry(
    job_id: JobId,
    version: Annotated[str | None, typer.Option(help="On this version.")] = None,
    *,
    active: Annotated[
        bool, typer.Option("--active", help="On the version that is active now.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Follow it to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try a job again that has ended: as it was, with the same version and lock, or on another.

    Its environment is built again from the wheelhouse if it is gone.
    """
    with connected() as client:
        job: Mapping[str, Any] = client.ask(retry_job(job_id, active=active, version=version))
        if wait:
            job = to_the_end(client, job_id)
    emit(job, as_json=as_json, show=job_facts)
    exit_as(job, waited=wait)
