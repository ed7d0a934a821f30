"""`fumehood wheelhouse`: the wheels that environments are built from.

`add` and `list` ask the appliance; the others work here, on the house of this home, also
while an appliance is using it.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.client import ask, connected
from runtime.cli.printing import AsJson, emit, facts, say, table
from runtime.errors import NotFound
from runtime.house import missing_of, wheelhouse_of
from runtime.problem_table import EXIT_UNVERIFIED
from runtime.settings import load
from wheelhouse.target import Target, make_target, platforms_of
from wheelhouse.upkeep import verify as verify_house

app = typer.Typer(no_args_is_help=True, help="Add wheels, see which there are, carry them.")
COLUMNS = ("name", "version", "filename", "size_bytes", "origin")
FACTS = (
    "name",
    "version",
    "filename",
    "sha256",
    "size_bytes",
    "licence",
    "origin",
    "requires_dist",
)
Name = Annotated[str, typer.Argument(help="The name of a distribution.")]


@app.command()
def add(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Wheels.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Add wheels to the house; each is judged first."""
    added: list[dict[str, Any]] = []
    with connected() as client:
        for path in files:
            with path.open("rb") as file:
                sent = {
                    "params": {"filename": path.name},
                    "headers": {"Content-Type": "application/octet-stream"},
                    "content": file,
                }
                added.append(ask(client, "POST", "/v1/wheelhouse/wheels", **sent))
    emit(added, as_json=as_json, show=_rows)


@app.command("list")
def list_wheels(
    name: Annotated[str | None, typer.Argument(help="Only this distribution.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the wheels in the house and how they came there."""
    query = {"name": name} if name else {}
    with connected() as client:
        found = ask(client, "GET", "/v1/wheelhouse/wheels", params=query)["items"]
    emit(found, as_json=as_json, show=_rows)


@app.command()
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show all that is known of a distribution's wheels."""
    house = wheelhouse_of(load().settings.home)
    found = [wheel.to_dict() for wheel in house.find(name)]
    if not found:
        raise NotFound(
            f"There is no wheel of {name} in the house",
            where=name,
            mend="`fumehood wheelhouse list` shows what there is",
        )
    emit(
        found,
        as_json=as_json,
        show=lambda wheels: "\n\n".join(
            facts({**wheel, "origin": _origin(wheel["origin"])}, names=FACTS) for wheel in wheels
        ),
    )


@app.command()
def remove(
    sha256: Annotated[str, typer.Argument(help="The digest, sha256:….")], *, as_json: AsJson = False
) -> None:
    """Remove a wheel; environments built from it stay whole."""
    house = wheelhouse_of(load().settings.home)
    wheel = house.get(sha256)
    house.remove(wheel)
    emit(wheel.to_dict(), as_json=as_json, show=lambda gone: f"removed {gone['filename']}")


@app.command()
def verify(
    name: Annotated[list[str] | None, typer.Argument(help="Only these distributions.")] = None,
    python: Annotated[
        list[str] | None, typer.Option(help="Look for dependencies on this Python too.")
    ] = None,
    platform: Annotated[
        str, typer.Option(help="On this platform, such as manylinux_2_28_x86_64.")
    ] = "manylinux_2_28_x86_64",
    *,
    as_json: AsJson = False,
) -> None:
    """Compute every digest anew, and look for what is missing. Exit 7 if anything is wrong."""
    house = wheelhouse_of(load().settings.home)
    targets = [_target(one, platform) for one in python or ()]
    problems = [one.to_dict() for one in verify_house(house, targets=targets, names=name or ())]
    emit(problems, as_json=as_json, show=_problems)
    if problems:
        raise typer.Exit(EXIT_UNVERIFIED)


def _target(python: str, platform: str) -> Target:
    return make_target(python, platforms=platforms_of(platform), platform=platform)


def _problems(problems: list[dict[str, str]]) -> str:
    lines = [f"{one['where']}: {one['what']}\n  mend: {one['mend']}" for one in problems]
    return "\n".join(lines) or "every wheel is as it was when it was added"


@app.command()
def missing(
    output: Annotated[
        Path | None, typer.Option("-o", help="Write it as a file for `wheelhouse mirror`.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List what failed locks lacked, ready to be fetched on a connected machine."""
    house = wheelhouse_of(load().settings.home)
    wanted = missing_of(house)
    wanted.settle(house)
    if output:
        output.write_text(wanted.requirements(), encoding="utf-8")
        say(f"wrote {output}")
        return
    columns = ("requirement", "asked_by", "python", "platform", "at")
    emit(wanted.to_list(), as_json=as_json, show=lambda rows: table(rows, columns=columns))


def _rows(wheels: list[dict[str, Any]]) -> str:
    rows = [{**wheel, "origin": _origin(wheel["origin"])} for wheel in wheels]
    return table(rows, columns=COLUMNS)


def _origin(origin: dict[str, Any]) -> str:
    return f"{origin['kind']} by {origin['by']}"
