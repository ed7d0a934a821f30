"""`fumehood queue`: what waits and why, pauses, and who works."""

from collections.abc import Sequence
from typing import Annotated

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import plain
from runtime.cli.input.spans import minutes_of
from runtime.cli.output.printing import AsJson, emit, table
from runtime.client.operations import show_queue
from runtime.client.when import drain_worker, list_workers, resume_worker
from runtime.client.when import pause as pausing_of
from runtime.client.when import resume as resuming_of
from runtime.client.when_views import PauseView, QueueView, WorkerView

app = typer.Typer(invoke_without_command=True, help="What waits and why; pause and drain.")
WorkerId = Annotated[str, typer.Argument(help="The id of the worker.", callback=plain)]


@app.callback()
def queue(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show what waits, why and since when, and what is paused."""
    if context.invoked_subcommand is None:
        show(as_json=as_json)


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show what waits, why and since when, and what is paused."""
    with connected() as client:
        emit(client.ask(show_queue()), as_json=as_json, show=_queue_text)


@app.command()
def pause(
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")],
    package: Annotated[str, typer.Option(help="Only jobs of this package.")] = "",
    span: Annotated[str, typer.Option("--for", help="How long: 30s, 15m, 2h, 1d.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Let no job begin, of all or of a package; what runs goes on, and orders are accepted."""
    minutes = minutes_of(span) if span else None
    with connected() as client:
        call = pausing_of(_subject(package), reason=reason, minutes=minutes)
        emit(client.ask(call), as_json=as_json, show=_pause_text)


@app.command()
def resume(
    package: Annotated[str, typer.Option(help="Only jobs of this package.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Let jobs begin again."""
    with connected() as client:
        emit(
            client.ask(resuming_of(_subject(package))),
            as_json=as_json,
            show=lambda one: f"{one['subject']} goes on",
        )


@app.command()
def workers(*, as_json: AsJson = False) -> None:
    """Show the workers, and what each runs."""
    with connected() as client:
        found = list(client.every(list_workers()))
    emit(found, as_json=as_json, show=_workers_text)


@app.command()
def drain(worker: WorkerId, *, as_json: AsJson = False) -> None:
    """Let a worker take no more jobs; show what it waits for."""
    with connected() as client:
        emit(client.ask(drain_worker(worker)), as_json=as_json, show=_worker_text)


@app.command("worker-resume")
def worker_resume(worker: WorkerId, *, as_json: AsJson = False) -> None:
    """Let a worker take jobs again."""
    with connected() as client:
        emit(client.ask(resume_worker(worker)), as_json=as_json, show=_worker_text)


def _subject(package: str) -> str:
    return f"package:{package}" if package else "all"


def _queue_text(queue: QueueView) -> str:
    counts = ", ".join(f"{number} {state}" for state, number in queue["jobs"].items())
    parts = [f"{queue['depth']} of {queue['limit']} that may wait; {counts}"]
    parts += [_pause_text(one) for one in queue["paused"]]
    if queue["waiting"]:
        parts.append(table(queue["waiting"], columns=("package", "why", "jobs", "since")))
    return "\n".join(parts)


def _pause_text(pause: PauseView) -> str:
    until = f" until {pause['until']}" if pause["until"] else ""
    return f"{pause['subject']} is paused by {pause['who']}{until}: {pause['reason']}"


def _workers_text(found: Sequence[WorkerView]) -> str:
    return "\n".join(map(_worker_text, found)) or "no worker is alive"


def _worker_text(worker: WorkerView) -> str:
    drained = f", drained by {worker['drained_by']}" if worker["drained_at"] else ""
    head = f"{worker['id']}: {worker['running']} of {worker['slots']} slots taken{drained}"
    jobs = [f"  {job['id']} of {job['package']} since {job['since']}" for job in worker["jobs"]]
    return "\n".join([head, *jobs])
