"""`fumehood audit`: what was done, by whom, and whether the log is whole."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from runtime.access.audit_seal import AuditSeal
from runtime.access.audit_seal import verify as verify_log
from runtime.access.key_rotation import rotate
from runtime.access.signing_key import key_id, public_key_of, signing_key
from runtime.cli.client import connected
from runtime.cli.output.printing import AsJson, as_text, emit, table
from runtime.client.operations import list_audit
from runtime.client.views import AuditView
from runtime.faults.errors import NotFound
from runtime.home.offline_database import has_database, in_home, write_down
from runtime.home.sole_use import alone_in
from runtime.problem_table import EXIT_UNVERIFIED
from runtime.settings.settings import Settings, load
from runtime.store.access import audit
from runtime.store.statements.rows import AUDIT_ENTRY, AUDIT_HEAD, plain
from runtime.values.clock import utc_now
from wheelhouse.times import rfc3339

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
        found = list(client.every(list_audit(action=action or None), most=most))
    emit(found, as_json=as_json, show=_rows)


@app.command()
def verify(*, as_json: AsJson = False) -> None:
    """Compute this home's log anew, and hold it against what was signed. Exit 7 if it is not."""
    settings = _with_log()
    key = public_key_of(settings.home)
    verdict = in_home(settings, verify_log, home=settings.home, key=key)
    if verdict is None:
        return
    emit(
        {
            "is_whole": not verdict.faults,
            "first_break": verdict.first_break,
            "faults": list(verdict.faults),
            "entries": verdict.entries,
            "signed_to": verdict.signed_to,
            "key_id": key_id(key) if key else None,
        },
        as_json=as_json,
        show=_sentences,
    )
    if verdict.faults:
        raise typer.Exit(EXIT_UNVERIFIED)


@app.command()
def export(
    output: Annotated[Path | None, typer.Option("-o", help="Write it to this file.")] = None,
) -> None:
    """Write the log of this home as NDJSON: its entries, then the heads that were signed."""
    settings = _with_log()
    lines = in_home(settings, _lines) or ()
    if output is None:
        for line in lines:
            print(as_text(line))
        return
    with output.open("w", encoding="utf-8") as file:
        file.writelines(as_text(line) + "\n" for line in lines)


@app.command("rotate-key")
def rotate_key(*, as_json: AsJson = False) -> None:
    """Give the appliance of this home another key; it must not be running.

    What the former one signed is believed still, and its private half is gone.
    """
    settings = _with_log()
    with alone_in(settings.home):
        former = signing_key(settings.home)
        at_home = partial(in_home, settings)
        head = at_home(AuditSeal(home=settings.home, key=former).sign, at=utc_now())
        key = rotate(settings.home, until_seq=head.seq if head else 0)
        ids = {
            "former": key_id(former.public_key()),
            "key_id": key_id(key.public_key()),
        }
        write_down(settings, action="key.rotate", subject=ids["key_id"], details=ids)
        at_home(AuditSeal(home=settings.home, key=key).sign, at=utc_now())
    emit(ids, as_json=as_json, show=lambda one: f"{one['key_id']} signs from now on")


def _with_log() -> Settings:
    """Return the settings of a home that has a log. Raises NotFound."""
    settings = load().settings
    if not has_database(settings):
        raise NotFound(
            f"There is no log in {settings.home}",
            where=str(settings.home),
            mend="set FUMEHOOD_HOME to the home of an appliance",
        )
    return settings


def _lines(connection: Connection) -> tuple[dict[str, Any], ...]:
    entries = [
        {"kind": "entry", **plain(one, AUDIT_ENTRY), "at": rfc3339(one.at)}
        for one in audit.everything(connection)
    ]
    heads = [
        {"kind": "head", **plain(one, AUDIT_HEAD), "at": rfc3339(one.at)}
        for one in audit.heads(connection)
    ]
    return (*entries, *heads)


def _sentences(told: dict[str, Any]) -> str:
    if not told["is_whole"]:
        return "\n".join(told["faults"])
    return f"the log is whole: {told['entries']} entries, signed up to {told['signed_to']}"


def _rows(entries: list[AuditView]) -> str:
    rows = [
        {**one, "details": ", ".join(f"{k}={v}" for k, v in one["details"].items() if v)}
        for one in entries
    ]
    return table(rows, columns=("seq", "at", "who", "action", "subject", "details"))
