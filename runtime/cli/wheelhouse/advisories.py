"""`fumehood wheelhouse advisories`: known vulnerabilities, from a snapshot; nothing is asked."""

from pathlib import Path
from typing import Annotated, Any

import typer

from packages.environment.maintenance import listing
from packages.environment.sbom import touching
from runtime.cli.appliance.env import environments_here
from runtime.cli.output.printing import AsJson, emit, table
from runtime.home.factories import advisories_of, wheelhouse_of
from runtime.home.offline_database import write_down
from runtime.settings.settings import load
from runtime.values.clock import utc_now
from wheelhouse.advisories.advisories import Snapshot
from wheelhouse.times import rfc3339

app = typer.Typer(no_args_is_help=True, help="Import and show known vulnerabilities (OSV).")
COLUMNS = ("name", "version", "id", "severity", "fixed_in", "used_by", "summary")


@app.command("import")
def import_snapshot(
    snapshot: Annotated[
        Path, typer.Argument(exists=True, help="OSV's all.zip for PyPI, or a folder of its JSON.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Take in a snapshot of OSV, in place of the one before."""
    settings = load().settings
    known = advisories_of(wheelhouse_of(settings.home))
    facts = _facts(known.import_snapshot(snapshot, at=utc_now()))
    write_down(settings, action="advisories.import", subject=snapshot.name, details=facts)
    emit(
        facts,
        as_json=as_json,
        show=lambda one: (
            f"{one['advisories']} advisories for {one['distributions']} distributions, "
            f"the newest of {one['newest'] or 'no date'}"
        ),
    )


@app.command("list")
def list_touching(*, as_json: AsJson = False) -> None:
    """List what is known against the wheels in the wheelhouse, and which environments have them."""
    wheelhouse = wheelhouse_of(load().settings.home)
    known, environments = advisories_of(wheelhouse), environments_here()
    used: dict[tuple[str, str], list[str]] = {}
    for kept in listing(environments):
        for advisory in touching(kept.inventory, known):
            used.setdefault((advisory.name, advisory.version), []).append(kept.key)
    wheels = sorted({(wheel.name, wheel.version) for wheel in wheelhouse.wheels()} | set(used))
    found = [
        advisory.to_dict() | {"used_by": sorted(set(used.get(one, ())))}
        for one in wheels
        for advisory in known.touching(*one)
    ]
    snapshot = known.snapshot()
    emit(
        {"snapshot": _facts(snapshot) if snapshot else None, "advisories": found},
        as_json=as_json,
        show=_text,
    )


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "advisories": snapshot.advisories,
        "distributions": snapshot.distributions,
        "imported_at": rfc3339(snapshot.imported_at),
        "newest": snapshot.newest,
    }


def _text(found: dict[str, Any]) -> str:
    snapshot = found["snapshot"]
    if snapshot is None:
        return "no snapshot was imported: `fumehood wheelhouse advisories import all.zip`"
    rows = [{**one, "used_by": [key[:8] for key in one["used_by"]]} for one in found["advisories"]]
    body = table(rows, columns=COLUMNS) if rows else "nothing is known against any wheel here"
    return f"{body}\nas of {snapshot['newest']}, imported {snapshot['imported_at']}"
