"""`fumehood gate`: the network gate."""

from typing import Annotated, Any

import typer

from runtime.cli.client import ask, connected
from runtime.cli.input.spans import minutes_of
from runtime.cli.output.printing import AsJson, emit

app = typer.Typer(no_args_is_help=True, help="Show, open and close the network gate.")
Who = Annotated[str, typer.Option(help="For whom, as a note in the audit log.")]


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show whether the gate is open, until when, and why."""
    with connected() as client:
        emit(ask(client, "GET", "/v1/gate"), as_json=as_json, show=_sentence)


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
    order = {
        "is_open": True,
        "minutes": minutes_of(span),
        "reason": reason,
        "packages": package or [],
        "who": who,
    }
    with connected() as client:
        emit(ask(client, "PUT", "/v1/gate", json=order), as_json=as_json, show=_sentence)


@app.command()
def close(
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why now.")] = "",
    who: Who = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Close the gate now."""
    order = {"is_open": False, "reason": reason, "who": who}
    with connected() as client:
        emit(ask(client, "PUT", "/v1/gate", json=order), as_json=as_json, show=_sentence)


def _sentence(gate: dict[str, Any]) -> str:
    if not gate["is_open"]:
        return f"closed ({gate['reason']})"
    only = f", only for {', '.join(gate['packages'])}" if gate["packages"] else ""
    return f"open until {gate['until']} by {gate['who']}: {gate['reason']}{only}"
