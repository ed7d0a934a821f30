"""`fumehood webhook`: who is told when jobs end, and how that went."""

from typing import Annotated

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import plain
from runtime.cli.output.printing import AsJson, emit, facts, say, table
from runtime.client.around import (
    add_webhook,
    get_delivery,
    get_webhook_secret,
    list_deliveries,
    list_webhooks,
    remove_webhook,
    replay_delivery,
)

app = typer.Typer(no_args_is_help=True, help="Tell others when jobs end, and see how that went.")
FACTS = ("id", "state", "kind", "job_id", "url", "tries", "status", "error", "due_at", "ended_at")
COLUMNS = ("id", "state", "kind", "job_id", "url", "tries", "status", "error")
DeliveryId = Annotated[str, typer.Argument(help="The id of the message.", callback=plain)]


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where: at a host that an admin has named.")],
    package: Annotated[str, typer.Option(help="A name, a prefix with *, or * for any.")] = "*",
    state: Annotated[
        list[str] | None, typer.Option(help="Only ends in this state; repeatable.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Be told when jobs end that are submitted from now on."""
    with connected() as client:
        made = client.ask(add_webhook(url, package=package, states=state or ()))
    emit(made, as_json=as_json, show=lambda one: one["id"])


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List webhooks."""
    with connected() as client:
        found = list(client.every(list_webhooks()))
    columns = ("id", "url", "package", "states", "owner", "at")
    emit(found, as_json=as_json, show=lambda rows: table(rows, columns=columns))


@app.command()
def remove(webhook_id: Annotated[str, typer.Argument(callback=plain)]) -> None:
    """Tell nobody there any more."""
    with connected() as client:
        client.ask(remove_webhook(webhook_id))
    say(f"{webhook_id} is gone")


@app.command()
def secret(*, as_json: AsJson = False) -> None:
    """Print what messages to you are signed with (Standard Webhooks, whsec_…)."""
    with connected() as client:
        emit(client.ask(get_webhook_secret()), as_json=as_json, show=lambda one: one["secret"])


@app.command()
def deliveries(
    state: Annotated[str | None, typer.Option(help="waiting, delivered or failed.")] = None,
    job: Annotated[str | None, typer.Option(help="Only of this job.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """List what was told, or is to be, the last made first."""
    with connected() as client:
        found = list(client.every(list_deliveries(state=state, job=job), most=limit))
    emit(found, as_json=as_json, show=lambda rows: table(rows, columns=COLUMNS))


@app.command()
def show(delivery_id: DeliveryId, *, as_json: AsJson = False) -> None:
    """Show one message, and how its tries went."""
    with connected() as client:
        found = client.ask(get_delivery(delivery_id))
    emit(found, as_json=as_json, show=lambda one: f"{facts(one, names=FACTS)}\n\n{one['body']}")


@app.command()
def replay(delivery_id: DeliveryId, *, as_json: AsJson = False) -> None:
    """Tell it again, from the first try on."""
    with connected() as client:
        found = client.ask(replay_delivery(delivery_id))
    emit(found, as_json=as_json, show=lambda one: facts(one, names=FACTS))
