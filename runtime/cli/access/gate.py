"""`fumehood gate`: the network gate."""

from typing import Annotated

import typer

from runtime.cli.client import connected
from runtime.cli.input.spans import minutes_of
from runtime.cli.output.printing import AsJson, emit
from runtime.client.operations import close_gate, get_gate
from runtime.client.operations import open_gate as opening_of
from runtime.client.views import GateView

app = typer.Typer(no_args_is_help=True, help="Show, open and close the network gate.")
Who = Annotated[str, typer.Option(help="For whom, as a note in the audit log.")]


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show whether the gate is open, until when, and why."""
    with connected() as client:
        emit(client.ask(get_gate()), as_json=as_json, show=_sentence)


@app.command("open")
def open_gate(
    reason: Annotated[str, typer.Option("--reason", "-r", help="What the network is needed for.")],
    span: Annotated[str, typer.Option("--for", help="How long: 30s, 15m, 2h, 1d.")] = "15m",
    package: Annotated[
        list[str] | None,
        typer.Option("--package", help="Only for this distribution; can be repeated."),
    ] = None,
    who: Who = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Open the gate for a while; it closes by itself."""
    minutes = minutes_of(span)
    with connected() as client:
        call = opening_of(
            reason,
            minutes=minutes,
            packages=package or (),
            who=who,
            if_match=client.tagged(get_gate()).tag,
        )
        emit(client.ask(call), as_json=as_json, show=_sentence)


@app.command()
def close(
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why now.")] = "",
    who: Who = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Close the gate now."""
    with connected() as client:
        emit(client.ask(close_gate(reason=reason, who=who)), as_json=as_json, show=_sentence)


def _sentence(gate: GateView) -> str:
    if not gate["is_open"]:
        return f"closed ({gate['reason']})"
    only = f", only for {', '.join(gate['packages'])}" if gate["packages"] else ""
    return f"open until {gate['until']} by {gate['who']}: {gate['reason']}{only}"
