"""`fumehood job dead` and `fumehood job why`: what was given up, and what a job waits for."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import JobId
from runtime.cli.output.printing import AsJson, emit, table
from runtime.client.when import list_dead_letters, replay_dead_letters, why_it_waits
from runtime.client.when_views import DeadLetterView, ReplayView, WaitsView
from runtime.problem_table import EXIT_TRY_AGAIN

app = typer.Typer(invoke_without_command=True, help="Jobs that were given up, and their replay.")
Package = Annotated[str | None, typer.Option(help="Only jobs of this package.")]
Code = Annotated[str | None, typer.Option(help="Only those given up for this.")]


@app.callback()
def dead(
    context: typer.Context,
    package: Package = None,
    code: Code = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List the jobs that were given up, since the appliance failed them each time."""
    if context.invoked_subcommand is not None:
        return
    with connected() as client:
        found = list(client.every(list_dead_letters(package=package, code=code), most=limit))
    emit(found, as_json=as_json, show=_rows)


@app.command()
def replay(
    jobs: Annotated[list[str] | None, typer.Argument(help="Their ids.")] = None,
    package: Package = None,
    code: Code = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All, of a package or a code.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try dead letters again: those named, or all. Exits 75 where some could not be."""
    call = replay_dead_letters(jobs=jobs or (), every=every, package=package, code=code)
    with connected() as client:
        done = client.ask(call)
    emit(done, as_json=as_json, show=_replayed)
    if done["refused"]:
        raise typer.Exit(EXIT_TRY_AGAIN)


def why(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Say everything that a job waits for, when that clears, and what one can do."""
    with connected() as client:
        emit(client.ask(why_it_waits(job_id)), as_json=as_json, show=waits_text)


def waits_text(told: WaitsView) -> str:
    """Return what a job waits for, one rule after the other."""
    if not told["waits"]:
        return f"it has ended: {told['state']}"
    return "\n".join(line for wait in told["waits"] for line in _wait_lines(wait))


def _wait_lines(wait: Mapping[str, Any]) -> Sequence[str]:
    until = f" (until {wait['clears_at']})" if wait["clears_at"] else ""
    jobs = [f"  by {', '.join(wait['jobs'])}"] if wait["jobs"] else []
    return [f"{wait['code']}: {wait['what']}{until}", *jobs, f"  mend: {wait['mend']}"]


def _rows(letters: Sequence[DeadLetterView]) -> str:
    rows = [{**one, "job": one["job"]["id"], "package": one["job"]["package"]} for one in letters]
    return table(rows, columns=("job", "package", "code", "phase", "attempts", "at"))


def _replayed(done: ReplayView) -> str:
    refused = [f"{one['job']}: {one['what']} [{one['code']}]" for one in done["refused"]]
    return "\n".join([f"{len(done['replayed'])} jobs are tried again", *refused])
