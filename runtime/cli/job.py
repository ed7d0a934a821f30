"""`fumehood job`: submit, follow, fetch, cancel, try again."""

import json
import mimetypes
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx2
import typer

from runtime.cli.client import all_items, ask, connected, fetch, follow
from runtime.cli.input.arguments import Inputs, JobId, Pairs, Parameters
from runtime.cli.input.parameters import parameters_of
from runtime.cli.output.job_text import event_line, job_facts, job_rows, with_artifact
from runtime.cli.output.printing import AsJson, as_text, emit, emit_line, harmless, say, table
from runtime.problem_table import EXIT_JOB_FAILED

app = typer.Typer(no_args_is_help=True, help="Submit jobs, follow them, fetch what they left.")
Attempt = Annotated[int | None, typer.Option(min=1, help="Which attempt; the last by default.")]


@app.command()
def submit(
    package: Annotated[str, typer.Argument(help="NAME, or NAME@VERSION.")],
    files: Inputs = None,
    parameter: Pairs = None,
    parameters: Parameters = "{}",
    outputs_to: Annotated[
        Path | None, typer.Option("--outputs", "-o", help="With --wait: fetch outputs there.")
    ] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Follow it to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a job. With --wait: show its log on stderr, exit 1 if it does not succeed."""
    if outputs_to and not wait:
        raise typer.BadParameter("--outputs needs --wait", param_hint="--outputs")
    name, is_pinned, version = package.partition("@")
    if not name or (is_pinned and not version):
        raise typer.BadParameter(f"{package} is not NAME or NAME@VERSION", param_hint="package")
    given = parameters_of(parameters, pairs=parameter or ())
    order = {"package": name, "version": version or None, "parameters": given}
    with connected() as client:
        job = _post(client, order, files=files or [])
        if wait:
            job = _to_the_end(client, job["id"])
        if wait and outputs_to:
            _fetch_outputs(client, job["id"], folder=outputs_to)
    emit(job, as_json=as_json, show=job_facts if wait else lambda one: one["id"])
    _exit_as(job, waited=wait)


def _post(client: httpx2.Client, order: dict[str, Any], *, files: list[Path]) -> Any:
    if not files:
        return ask(client, "POST", "/v1/jobs", json=order)
    with ExitStack() as stack:
        sent = [
            (
                "input",
                (
                    path.name,
                    stack.enter_context(path.open("rb")),
                    mimetypes.guess_type(path.name)[0] or "application/octet-stream",
                ),
            )
            for path in files
        ]
        return ask(client, "POST", "/v1/jobs", data={"job": json.dumps(order)}, files=sent)


def _to_the_end(client: httpx2.Client, job_id: str) -> Any:
    for event in follow(client, job_id):
        if line := event_line(event):
            say(line)
    return _whole(client, job_id)


def _whole(client: httpx2.Client, job_id: str) -> dict[str, Any]:
    """Return a job with the result and the start that its artifact tells, where it has one."""
    job = ask(client, "GET", f"/v1/jobs/{job_id}")
    if job["state"] == "queued":
        return job
    told = client.get(f"/v1/jobs/{job_id}/artifact")
    return with_artifact(job, told.json()) if told.is_success else job


def _exit_as(job: dict[str, Any], *, waited: bool) -> None:
    if waited and job["state"] != "succeeded":
        raise typer.Exit(EXIT_JOB_FAILED)


@app.command()
def show(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Show a job: its state, times, how it started, its result, and why it failed."""
    with connected() as client:
        emit(_whole(client, job_id), as_json=as_json, show=job_facts)


@app.command("list")
def list_jobs(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    package: Annotated[str | None, typer.Option(help="Only jobs of this package.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """List jobs, the last submitted first."""
    with connected() as client:
        found = all_items(client, "/v1/jobs", most=limit, state=state, package=package)
    emit(found, as_json=as_json, show=job_rows)


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
        events = follow(client, job_id, after=after) if is_live else _stored(client, job_id, after)
        for event in events:
            if as_json:
                emit_line(event)
            elif line := event_line(event):
                print(harmless(line), flush=True)
        job = ask(client, "GET", f"/v1/jobs/{job_id}")
    _exit_as(job, waited=is_live)


def _stored(client: httpx2.Client, job_id: str, after: int) -> list[dict[str, Any]]:
    path = f"/v1/jobs/{job_id}/events"
    with client.stream("GET", path, params={"after": after}) as response:
        if response.is_success:
            return [json.loads(line) for line in response.iter_lines()]
    return ask(client, "GET", path, params={"after": after})


@app.command()
def artifact(
    job_id: JobId,
    attempt: Attempt = None,
    output: Annotated[Path | None, typer.Option("-o", help="Write it to this file.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the artifact: what ran, with which versions, behind which walls (it is JSON)."""
    query = f"?attempt={attempt}" if attempt else ""
    path = f"/v1/jobs/{job_id}/artifact{query}"
    with connected() as client:
        if output:
            fetch(client, path, to=output)
        else:
            print(as_text(ask(client, "GET", path), indent=2))


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
    query = {"attempt": attempt} if attempt else {}
    with connected() as client:
        if path:
            _print_output(client, job_id, path=path, query=query)
            return
        if folder:
            found = _fetch_outputs(client, job_id, folder=folder, query=query)
        else:
            found = all_items(client, f"/v1/jobs/{job_id}/outputs", **query)
    columns = ("path", "size_bytes", "sha256", "media_type")
    emit(found, as_json=as_json, show=lambda rows: table(rows, columns=columns))


def _print_output(client: httpx2.Client, job_id: str, *, path: str, query: dict[str, int]) -> None:
    with client.stream("GET", _output_path(job_id, path), params=query) as response:
        if response.is_success:
            for chunk in response.iter_bytes():
                sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            return
    ask(client, "GET", _output_path(job_id, path), params=query)


def _fetch_outputs(
    client: httpx2.Client, job_id: str, *, folder: Path, query: dict[str, int] | None = None
) -> list[dict[str, Any]]:
    found = all_items(client, f"/v1/jobs/{job_id}/outputs", **(query or {}))
    suffix = f"?attempt={query['attempt']}" if query else ""
    for output in found:
        fetch(client, _output_path(job_id, output["path"]) + suffix, to=folder / output["path"])
        say(f"fetched {folder / output['path']}")
    return found


def _output_path(job_id: str, path: str) -> str:
    return f"/v1/jobs/{job_id}/outputs/{quote(path)}"


@app.command()
def cancel(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Cancel a job: at once while it waits, by stopping its cell while it runs."""
    with connected() as client:
        job = ask(client, "POST", f"/v1/jobs/{job_id}/cancel")
    emit(job, as_json=as_json, show=job_facts)


@app.command()
def retry(
    job_id: JobId,
    *,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Follow it to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try a job again that has ended."""
    with connected() as client:
        job = ask(client, "POST", f"/v1/jobs/{job_id}/retry")
        if wait:
            job = _to_the_end(client, job_id)
    emit(job, as_json=as_json, show=job_facts)
    _exit_as(job, waited=wait)
