"""`fumehood retention`: how long things are kept, what would go, and what it freed."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.client import connected
from runtime.cli.output.printing import AsJson, as_text, emit, table
from runtime.client.around import get_retention, put_retention
from runtime.faults.errors import Malformed

app = typer.Typer(help="How long things are kept; what goes and went.", invoke_without_command=True)
KINDS = ("inputs", "outputs", "events", "rows")
COLUMNS = ("package", "state", *KINDS)


@app.callback()
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show the rules, of how many jobs something would go now, and what has gone so far."""
    if context.invoked_subcommand is None:
        with connected() as client:
            emit(client.ask(get_retention()), as_json=as_json, show=_text)


@app.command("set")
def set_rules(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help='JSON: {"rules": […], "quotas": […]}; {} for none.'
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Set rules and quotas, which go before those of the settings.

    A rule is {"package": "hello", "state": "failed", "inputs": "7d", "rows": "never"}; a quota is
    {"principal": "token:ana", "jobs": 10000, "mb": 1024}.
    """
    policy = _policy(file)
    call = put_retention(rules=policy.get("rules", ()), quotas=policy.get("quotas", ()))
    with connected() as client:
        emit(client.ask(call), as_json=as_json, show=_text)


def _policy(file: Path) -> dict[str, Any]:
    try:
        policy = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Malformed(f"{file} is not JSON: {error}", where=str(file)) from error
    if not isinstance(policy, dict):
        raise Malformed(f"{file} is not a JSON object", where=str(file))
    return policy  # pyright: ignore[reportUnknownVariableType]


def _text(told: Any) -> str:
    usual = {"package": "* (settings)", **told["settings"]}
    rules = [usual, *told["settings"]["rules"], *told["policy"]["rules"]]
    due = ", ".join(f"{told['due'][kind]} {kind}" for kind in KINDS)
    went = ", ".join(_gone(one) for one in told["freed"]) or "nothing"
    quotas = [*told["settings"]["quotas"], *told["policy"]["quotas"]]
    said = "".join(f"\nquota: {as_text(one)}" for one in quotas)
    told_of = f"due now, of so many jobs: {due}\nwent so far: {went}{said}"
    return f"{table(rules, columns=COLUMNS)}\n\n{told_of}"


def _gone(one: dict[str, Any]) -> str:
    size = f" ({one['size_bytes'] / 1024**2:.1f} MiB)" if one["size_bytes"] else ""
    return f"{one['number']} {one['kind']}{size}"
