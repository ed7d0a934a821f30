"""`fumehood schedule`: jobs for times to come."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, Literal

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import Inputs, Pairs, Parameters, plain
from runtime.cli.input.files import input_of
from runtime.cli.input.moments import Attempts, Backoff, Priority, RetryOn, retry_of
from runtime.cli.input.parameters import parameters_of
from runtime.cli.input.spans import minutes_of, seconds_of
from runtime.cli.output.printing import AsJson, emit, facts, table
from runtime.client.client import Client
from runtime.client.when import (
    create_schedule,
    get_schedule,
    pause_schedule,
    remove_schedule,
    resume_schedule,
)
from runtime.client.when import list_schedules as schedules_there
from runtime.faults.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Let jobs run at times to come.")
Which = Annotated[str, typer.Argument(help="The name or the id.", callback=plain)]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why.")]
COLUMNS = ("name", "package", "when", "next_at", "paused", "id")
FACTS = (
    "id",
    "name",
    "owner",
    "package",
    "version",
    "when",
    "missed",
    "overlap",
    "paused",
    "next_ticks",
    "last_job_id",
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call it.", callback=plain)],
    package: Annotated[str, typer.Argument(help="NAME, or NAME@VERSION.")],
    files: Inputs = None,
    cron: Annotated[
        str, typer.Option(help="Minute, hour, day, month, weekday: '30 6 * * 1-5'.")
    ] = "",
    every: Annotated[str, typer.Option(help="Or every 30s, 15m, 2h, 1d.")] = "",
    zone: Annotated[str, typer.Option(help="The time zone of --cron: Europe/Berlin.")] = "UTC",
    missed: Annotated[
        Literal["skip", "once", "all"], typer.Option(help="What to do with missed ticks.")
    ] = "skip",
    overlap: Annotated[
        Literal["allow", "skip", "replace"],
        typer.Option(help="What to do while the last job goes on."),
    ] = "skip",
    parameter: Pairs = None,
    parameters: Parameters = "{}",
    priority: Priority = 0,
    attempts: Attempts = None,
    backoff_s: Backoff = 1.0,
    retry_on: RetryOn = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Keep a schedule, and show when it comes. Input files are kept with it."""
    target, _, version = package.partition("@")
    with connected() as client, ExitStack() as stack:
        call = create_schedule(
            name,
            target,
            cron=cron,
            every_s=seconds_of(every, option="--every") if every else None,
            zone=zone,
            version=version or None,
            parameters=parameters_of(parameters, pairs=parameter or ()),
            inputs=[input_of(path, stack=stack) for path in files or ()],
            missed=missed,
            overlap=overlap,
            priority=priority,
            retry=retry_of(attempts, backoff_s=backoff_s, on=retry_on),
        )
        emit(client.ask(call), as_json=as_json, show=_facts)


@app.command("list")
def list_schedules(
    package: Annotated[str | None, typer.Option(help="Only those of this package.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the schedules, the last made first."""
    with connected() as client:
        found = list(client.every(schedules_there(package=package)))
    emit(found, as_json=as_json, show=_rows)


@app.command()
def show(which: Which, *, as_json: AsJson = False) -> None:
    """Show a schedule, its next five ticks, and what came of the last ones."""
    with connected() as client:
        found = client.ask(get_schedule(_id_of(client, which)))
    emit(found, as_json=as_json, show=_facts)


@app.command()
def pause(
    which: Which,
    reason: Reason,
    span: Annotated[str, typer.Option("--for", help="How long: 30s, 15m, 2h, 1d.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Run no tick until it is resumed; ticks meanwhile are missed."""
    minutes = minutes_of(span) if span else None
    with connected() as client:
        call = pause_schedule(_id_of(client, which), reason=reason, minutes=minutes)
        emit(client.ask(call), as_json=as_json, show=_facts)


@app.command()
def resume(which: Which, *, as_json: AsJson = False) -> None:
    """Let a schedule go on that is paused."""
    with connected() as client:
        call = resume_schedule(_id_of(client, which))
        emit(client.ask(call), as_json=as_json, show=_facts)


@app.command()
def remove(which: Which) -> None:
    """Forget a schedule; jobs that it made stay."""
    with connected() as client:
        client.ask(remove_schedule(_id_of(client, which)))


def _id_of(client: Client, which: str) -> str:
    """Return the id of the schedule that is called `which`, or has that id. Raises NotFound."""
    found = [one for one in client.every(schedules_there()) if which in {one["id"], one["name"]}]
    if len(found) == 1:
        return found[0]["id"]
    ids = ", ".join(f"{one['id']} of {one['owner']}" for one in found)
    raise NotFound(
        f"There are {len(found)} schedules {which}",
        where=which,
        mend=f"name one by its id: {ids}" if found else "`fumehood schedule list` shows them",
    )


def _facts(schedule: Mapping[str, Any]) -> str:
    told = facts(_for_people(schedule), names=FACTS)
    columns = ("at", "outcome", "job_id", "told")
    return told + ("\n\n" + table(schedule["ticks"], columns=columns) if schedule["ticks"] else "")


def _rows(schedules: Sequence[Mapping[str, Any]]) -> str:
    return table([_for_people(one) for one in schedules], columns=COLUMNS)


def _for_people(schedule: Mapping[str, Any]) -> dict[str, Any]:
    cron, every = schedule["cron"], schedule["every_s"]
    when = f"{cron} ({schedule['zone']})" if cron else f"every {every} s"
    paused = schedule["paused"]
    why = f"by {paused['who']}: {paused['reason']}" if paused else None
    return {**schedule, "when": when, "paused": why}
