"""`fumehood batch`: named groups of jobs."""

import time
from typing import Annotated, Any

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import plain
from runtime.cli.output.printing import AsJson, emit, facts, table
from runtime.client.around import (
    cancel_batch,
    create_batch,
    get_batch,
    list_batches,
    seal_batch,
)
from runtime.problem_table import EXIT_JOB_FAILED

ASK_AGAIN_S = 0.5
FACTS = ("name", "id", "standing", "done", "total", "jobs", "owner", "note", "ended_at")
app = typer.Typer(no_args_is_help=True, help="Group jobs under a name; count, await, cancel them.")
BatchName = Annotated[str, typer.Argument(help="Its name, or its id.", callback=plain)]


@app.command()
def create(
    name: BatchName,
    note: Annotated[str, typer.Option(help="What it is.")] = "",
    webhook: Annotated[
        str | None, typer.Option(help="Whom to tell when all have ended (URL).")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Begin a batch; `fumehood job submit … --batch NAME` joins it."""
    with connected() as client:
        made = client.ask(create_batch(name, note=note, webhook=webhook))
    emit(made, as_json=as_json, show=lambda one: one["id"])


@app.command()
def show(
    name: BatchName,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait until all have ended; exit 1 if one failed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how many of its jobs there are in each state."""
    with connected() as client:
        found = client.ask(get_batch(name))
        while wait and found["done"] < found["total"]:
            time.sleep(ASK_AGAIN_S)
            found = client.ask(get_batch(name))
    emit(found, as_json=as_json, show=_text)
    if wait and found["jobs"].get("succeeded", 0) < found["total"]:
        raise typer.Exit(EXIT_JOB_FAILED)


def _text(found: Any) -> str:
    return facts({**found, "jobs": _counts(found)}, names=FACTS)


def _counts(found: Any) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(found["jobs"].items()))


@app.command("list")
def list_all(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """List batches, the last begun first."""
    with connected() as client:
        found = list(client.every(list_batches(), most=limit))
    columns = ("name", "id", "standing", "done", "total", "owner", "at")
    emit(found, as_json=as_json, show=lambda rows: table(rows, columns=columns))


@app.command()
def seal(name: BatchName, *, as_json: AsJson = False) -> None:
    """Let it take no more jobs: it has ended when all of them have."""
    with connected() as client:
        emit(client.ask(seal_batch(name)), as_json=as_json, show=_text)


@app.command()
def cancel(
    name: BatchName,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; for the audit log.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Seal it, and cancel every job of it that has not ended."""
    with connected() as client:
        emit(client.ask(cancel_batch(name, reason=reason)), as_json=as_json, show=_text)
