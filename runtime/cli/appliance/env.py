"""`fumehood env`: the environments of this home: which there are, whether they are whole."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from packages.environment.environment import Environments
from packages.environment.inventory import Inventory
from packages.environment.maintenance import collect, listing
from packages.environment.maintenance import repair as repair_environments
from packages.environment.maintenance import verify as verify_environment
from packages.environment.sbom import sbom, touching
from packages.interpreters import every
from runtime.cli.output.printing import AsJson, emit, say, table
from runtime.faults.errors import Malformed, NotFound, NotReady
from runtime.home.factories import (
    advisories_of,
    environments_in_cells,
    environments_of,
    wheelhouse_of,
)
from runtime.problem_table import EXIT_UNVERIFIED
from runtime.settings.settings import load
from runtime.values.clock import utc_now
from sandbox.command import Command, Outcome
from sandbox.limits import MIB
from wheelhouse.advisories.osv import Advisory

app = typer.Typer(no_args_is_help=True, help="See, verify and collect environments.")
Key = Annotated[str, typer.Argument(help="The key of an environment, or how it begins.")]
MaybeKey = Annotated[
    str | None, typer.Argument(help="The key of an environment, or how it begins; else all.")
]
COLUMNS = ("key", "python", "installed", "mb", "uses", "used_at", "is_in_use")
DAYS = re.compile(r"(\d+)d")


@app.command("list")
def list_environments(*, as_json: AsJson = False) -> None:
    """List the environments, the one used last first."""
    found = [kept.to_dict() for kept in listing(environments_here())]
    emit(found, as_json=as_json, show=_rows)


@app.command()
def show(key: Key, *, as_json: AsJson = False) -> None:
    """Show what is installed in an environment, where from, and what is known against it."""
    inventory, advisories = _inside(key)
    told = inventory.to_dict() | {"advisories": [one.to_dict() for one in advisories]}
    emit(told, as_json=as_json, show=_inventory)


@app.command("sbom")
def write_sbom(
    key: Key,
    output: Annotated[Path | None, typer.Option("-o", help="Write it to this file.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the bill of materials of an environment (CycloneDX; it is JSON always)."""
    inventory, advisories = _inside(key)
    text = sbom(inventory, name="environment", version=inventory.key, advisories=advisories)
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


def _inside(beginning: str) -> tuple[Inventory, list[Advisory]]:
    environments = environments_here()
    inventory = environments.inventory(_whole(environments, beginning))
    return inventory, touching(inventory, advisories_of(environments.builder.wheelhouse))


def _inventory(told: dict[str, Any]) -> str:
    known = [f"{one['name']} {one['version']}: {one['id']}" for one in told["advisories"]]
    columns = ("name", "version", "source", "licence", "sha256")
    return (
        f"Python {told['python']} on {told['platform']}, lock {told['lock_digest']}\n"
        f"known vulnerabilities: {', '.join(known) or 'none'}\n"
        + table(told["installed"], columns=columns)
    )


@app.command()
def verify(
    key: MaybeKey = None,
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Build what is damaged anew from its lock.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every file of an environment, or of all, with its wheel. Exit 7 if one is wrong."""
    environments = environments_here()
    keys = [_whole(environments, key)] if key else [k.key for k in listing(environments)]
    found = {one: verify_environment(environments, one) for one in keys}
    damaged = [one for one in keys if found[one]]
    mended = asyncio.run(_repair(damaged)) if damaged and repair else set[str]()
    emit(
        [problem.to_dict() for one in damaged for problem in found[one]],
        as_json=as_json,
        show=lambda told: (
            "\n".join(f"{one['where']}: {one['what']}" for one in told)
            or f"every file is right ({len(keys)} environments)"
        ),
    )
    for one in damaged:
        if one in mended:
            say(f"{one[:16]} was built anew from its lock")
        else:
            say(_what_now(one, was_tried=repair))
    if set(damaged) - mended:
        raise typer.Exit(EXIT_UNVERIFIED)


async def _repair(keys: list[str]) -> set[str]:
    """Return those of the damaged environments `keys` that are whole again."""
    async with environments_in_cells(load().settings.home) as environments:
        repaired = await repair_environments(
            environments, interpreters=every, keys=keys, is_full=True
        )
    return set(keys) - {one.key for one in repaired if not one.is_rebuilt}


def _what_now(key: str, *, was_tried: bool) -> str:
    if was_tried:
        return "it was removed; what needs it builds it again, or says what the wheelhouse lacks"
    return f"mend: `fumehood env verify --repair {key[:16]}` builds it anew from its lock"


@app.command()
def gc(
    older_than: Annotated[str, typer.Option(help="Unused for this long, such as 30d.")] = "30d",
    most_mb: Annotated[
        int | None, typer.Option(min=0, help="Beyond this, younger ones go too.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove environments that nobody used; one in use never goes, and any can be built again."""
    removed = collect(
        environments_here(),
        now=utc_now(),
        older_than_s=span(older_than).total_seconds(),
        most_bytes=None if most_mb is None else most_mb * MIB,
        is_dry_run=dry_run,
    )
    emit([kept.to_dict() for kept in removed], as_json=as_json, show=_rows)


def environments_here() -> Environments:
    """Return the environments of this home, to be looked at."""
    home = load().settings.home
    return environments_of(home, wheelhouse=wheelhouse_of(home), run=_builds_nothing)


async def _builds_nothing(command: Command, **_: object) -> Outcome:
    raise NotReady("This command looks at environments; an appliance or `fumehood try` builds them")


def _whole(environments: Environments, beginning: str) -> str:
    keys = [kept.key for kept in listing(environments) if kept.key.startswith(beginning)]
    if len(keys) != 1:
        raise NotFound(
            f"{len(keys)} environments have a key that begins with {beginning}",
            where=str(Path("environments") / beginning),
            mend="`fumehood env list` shows the keys",
        )
    return keys[0]


def span(text: str) -> timedelta:
    """Return the time that `text`, such as 30d, says. Raises Malformed."""
    found = DAYS.fullmatch(text)
    if not found:
        raise Malformed(f"{text} is not a number of days", where="--older-than", mend="such as 30d")
    return timedelta(days=int(found[1]))


def _rows(environments: list[dict[str, Any]]) -> str:
    rows = [
        one
        | {
            "key": one["key"][:16],
            "python": one["inventory"]["python"],
            "installed": len(one["inventory"]["installed"]),
            "mb": f"{one['inventory']['size_bytes'] / 1024**2:.1f}",
        }
        for one in environments
    ]
    return table(rows, columns=COLUMNS)
