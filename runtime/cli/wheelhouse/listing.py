"""`fumehood wheelhouse list|show|verify|missing`: what is in the wheelhouse, and what is not.

`list` asks the appliance, if one is running; the others work here, on the wheelhouse of this home,
also while an appliance is using it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.client import connected, has_no_appliance
from runtime.cli.input.targets import Platforms, Pythons, targets_of
from runtime.cli.output.printing import AsJson, emit, facts, say, table
from runtime.client.operations import list_wheels as wheels_there
from runtime.faults.errors import NotFound
from runtime.home.factories import advisories_of, missing_of, wheelhouse_of
from runtime.problem_table import EXIT_UNVERIFIED
from runtime.settings.settings import load
from wheelhouse.store import Wheel, Wheelhouse
from wheelhouse.upkeep import verify as verify_wheels

COLUMNS = ("name", "version", "filename", "size_bytes", "origin")
FACTS = (
    "name",
    "version",
    "filename",
    "sha256",
    "size_bytes",
    "licence",
    "origin",
    "requires_python",
    "requires_dist",
    "yanked",
    "advisories",
)
Name = Annotated[str, typer.Argument(help="The name of a distribution.")]


def list_wheels(
    name: Annotated[str | None, typer.Argument(help="Only this distribution.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the wheels in the wheelhouse and how they came there."""
    if is_alone():
        wheelhouse = wheelhouse_of(load().settings.home)
        wheels = wheelhouse.find(name) if name else wheelhouse.wheels()
        found: Sequence[Mapping[str, Any]] = [wheel.to_dict() for wheel in wheels]
    else:
        with connected() as client:
            found = client.ask(wheels_there(name=name or None))["items"]
    emit(found, as_json=as_json, show=wheel_rows)


def is_alone() -> bool:
    """Return whether no appliance is there to be asked, as on a machine that only mirrors."""
    found_none = has_no_appliance()
    if found_none:
        say(f"no appliance is running: this is the wheelhouse in {load().settings.home}")
    return found_none


def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show all that is known of a distribution's wheels."""
    wheelhouse = wheelhouse_of(load().settings.home)
    known = advisories_of(wheelhouse)
    found = [
        wheel.to_dict()
        | {"advisories": [one.to_dict() for one in known.touching(wheel.name, wheel.version)]}
        for wheel in found_of(wheelhouse, name)
    ]
    emit(found, as_json=as_json, show=lambda wheels: "\n\n".join(map(_facts, wheels)))


def found_of(wheelhouse: Wheelhouse, name: str) -> list[Wheel]:
    """Return the wheels of a distribution. Raises NotFound where there is none."""
    found = wheelhouse.find(name)
    if not found:
        raise NotFound(
            f"There is no wheel of {name} in the wheelhouse",
            where=name,
            mend="`fumehood wheelhouse list` shows what there is",
        )
    return found


def _facts(wheel: dict[str, Any]) -> str:
    known = [f"{one['id']} ({one['severity']})" for one in wheel["advisories"]]
    shown = {**wheel, "origin": _origin(wheel["origin"]), "advisories": known}
    return facts(shown, names=FACTS)


def verify(
    name: Annotated[list[str] | None, typer.Argument(help="Only these distributions.")] = None,
    python: Pythons = None,
    platform: Platforms = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compute every digest anew, and look for missing dependencies on each --python.

    Exit 7 if anything is wrong.
    """
    wheelhouse = wheelhouse_of(load().settings.home)
    names = [found_of(wheelhouse, one)[0].name for one in name or ()]
    targets = targets_of(python or (), platform or ())
    problems = [one.to_dict() for one in verify_wheels(wheelhouse, targets=targets, names=names)]
    emit(problems, as_json=as_json, show=_problems)
    if problems:
        raise typer.Exit(EXIT_UNVERIFIED)


def _problems(problems: list[dict[str, str]]) -> str:
    lines = [f"{one['where']}: {one['what']}\n  mend: {one['mend']}" for one in problems]
    return "\n".join(lines) or "every wheel is as it was when it was added"


def missing(
    output: Annotated[
        Path | None, typer.Option("-o", help="Write it as a file for `wheelhouse mirror`.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List what failed locks lacked, as a file for `wheelhouse mirror` on a connected machine."""
    wheelhouse = wheelhouse_of(load().settings.home)
    wanted = missing_of(wheelhouse)
    wanted.strike_off(wheelhouse)
    if output:
        output.write_text(wanted.requirements(), encoding="utf-8")
        say(f"wrote {output}")
        return
    emit(wanted.to_list(), as_json=as_json, show=lambda _: wanted.requirements().rstrip())


def wheel_rows(wheels: Sequence[Mapping[str, Any]]) -> str:
    """Return wheels as a table."""
    rows = [{**wheel, "origin": _origin(wheel["origin"])} for wheel in wheels]
    return table(rows, columns=COLUMNS)


def _origin(origin: dict[str, Any]) -> str:
    index = f" from {origin['index']}" if origin["index"] else ""
    return f"{origin['kind']} by {origin['by']}{index} on {origin['at'][:10]}"
