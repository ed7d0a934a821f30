"""`fumehood audit`: what was done, by whom, and whether the log is whole."""

from typing import Annotated, Any

import typer

from runtime.cli.client import all_items, connected
from runtime.cli.output.printing import AsJson, emit, table
from runtime.errors import NotFound
from runtime.home.offline_database import has_database, in_home
from runtime.problem_table import EXIT_UNVERIFIED
from runtime.settings import load
from runtime.store import audit

app = typer.Typer(no_args_is_help=True, help="Read the audit log, and check that it is whole.")


@app.command("list")
def list_entries(
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="How many.")] = 50,
    action: Annotated[str, typer.Option(help="Only this action, such as gate.fetch.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """List what was done, the last first."""
    with connected() as client:
        found = all_items(client, "/v1/audit", most=most, action=action or None)
    emit(found, as_json=as_json, show=_rows)


@app.command()
def verify(*, as_json: AsJson = False) -> None:
    """Compute the chain of digests of this home's log anew. Exit 7 if an entry was changed."""
    settings = load().settings
    if not has_database(settings):
        raise NotFound(
            f"There is no log in {settings.home}",
            where=str(settings.home),
            mend="set FUMEHOOD_HOME to the home of an appliance",
        )
    broken = in_home(settings, audit.first_break)
    emit(
        {"is_whole": broken is None, "first_break": broken},
        as_json=as_json,
        show=lambda told: (
            "the log is whole"
            if told["is_whole"]
            else f"entry {told['first_break']} is not what it was, or one before it is gone"
        ),
    )
    if broken is not None:
        raise typer.Exit(EXIT_UNVERIFIED)


def _rows(entries: list[dict[str, Any]]) -> str:
    rows = [
        {**one, "details": ", ".join(f"{k}={v}" for k, v in one["details"].items() if v)}
        for one in entries
    ]
    return table(rows, columns=("seq", "at", "who", "action", "subject", "details"))
