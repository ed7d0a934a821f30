"""`fumehood bulk`: one act on every job that a filter means."""

import time
from typing import Annotated, Any

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import plain
from runtime.cli.input.conditions import Conditions, with_conditions
from runtime.cli.output.printing import AsJson, emit, facts, say, table
from runtime.client.around import begin_bulk, get_bulk, list_bulk, stop_bulk
from runtime.client.client import Client
from runtime.client.views_around import BulkView

ASK_AGAIN_S = 0.3
FACTS = ("id", "act", "state", "matched", "done", "left_alone", "waits_for", "who", "reason")
app = typer.Typer(
    no_args_is_help=True, help="Cancel, retry or delete every job that a filter means."
)
OperationId = Annotated[str, typer.Argument(help="The id of the operation.", callback=plain)]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; for the audit log.")]
Count = Annotated[
    int | None, typer.Option("--count", min=0, help="How many you mean; another number refuses.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count.")]
Yes = Annotated[bool, typer.Option("--yes", help="Every job is meant, although none is named.")]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Wait until it is done.")]


def _make(act: str, *, doc: str) -> None:
    """Add the command of one act; the three have the same conditions."""

    def command(
        *,
        wanted: Conditions,
        reason: Reason = "",
        count: Count = None,
        dry_run: DryRun = False,
        yes: Yes = False,
        wait: Wait = False,
        as_json: AsJson = False,
    ) -> None:
        call = begin_bulk(
            act,
            wanted=wanted,
            reason=reason,
            is_dry_run=dry_run,
            count=count,
            is_everything=yes,
        )
        with connected() as client:
            told = client.ask(call)
            if wait and told["id"]:
                told = _to_the_end(client, told["id"])
        emit(told, as_json=as_json, show=_text)

    app.command(act, help=doc)(with_conditions(command))


_make("cancel", doc="Cancel every waiting and running job that the filter means.")
_make("retry", doc="Try every failed or cancelled job again that the filter means.")
_make("delete", doc="Delete every ended job that the filter means, with its bytes.")


def _to_the_end(client: Client, operation_id: str) -> BulkView:
    waits_for = ""
    while (told := client.ask(get_bulk(operation_id)))["state"] == "running":
        if told["waits_for"] != waits_for:
            waits_for = told["waits_for"]
            say(f"{told['done']} of {told['matched']}; {waits_for or 'going on'}")
        time.sleep(ASK_AGAIN_S)
    return told


def _text(told: Any) -> str:
    if told["id"] is None:
        return f"{told['matched']} jobs are meant; nothing was done"
    return facts(told, names=FACTS)


@app.command()
def show(operation_id: OperationId, *, wait: Wait = False, as_json: AsJson = False) -> None:
    """Show how far an operation has come."""
    with connected() as client:
        told = _to_the_end(client, operation_id) if wait else client.ask(get_bulk(operation_id))
    emit(told, as_json=as_json, show=_text)


@app.command("list")
def list_all(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """List operations, the last begun first."""
    with connected() as client:
        found = list(client.every(list_bulk(), most=limit))
    emit(found, as_json=as_json, show=lambda rows: table(rows, columns=FACTS))


@app.command()
def stop(operation_id: OperationId, *, as_json: AsJson = False) -> None:
    """Stop an operation; what it has done stays done."""
    with connected() as client:
        emit(client.ask(stop_bulk(operation_id)), as_json=as_json, show=_text)
