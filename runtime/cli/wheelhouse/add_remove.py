"""`fumehood wheelhouse add|remove`: single wheels, in and out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from packages.archive import Bundles
from runtime.cli.appliance.env import environments_here
from runtime.cli.client import connected
from runtime.cli.output.printing import AsJson, emit
from runtime.cli.wheelhouse.listing import is_alone, wheel_rows
from runtime.client.operations import add_wheel
from runtime.home.factories import wheelhouse_of
from runtime.home.local_user import local_user
from runtime.home.offline_database import has_database, in_home, write_down
from runtime.home.wheel_removal import needed_by, refuse_needed, remove_wheel
from runtime.settings.settings import load
from runtime.values.clock import utc_now
from wheelhouse.judges.pool import Judges
from wheelhouse.store import Origin


def add(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Wheels.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Add wheels to the wheelhouse; each is judged first."""
    added = _add_here(files) if is_alone() else _send(files)
    emit(added, as_json=as_json, show=wheel_rows)


def _send(files: list[Path]) -> list[Mapping[str, Any]]:
    added: list[Mapping[str, Any]] = []
    with connected() as client:
        for path in files:
            with path.open("rb") as file:
                added.append(client.ask(add_wheel(path.name, content=file)))
    return added


def _add_here(files: list[Path]) -> list[Mapping[str, Any]]:
    settings = load().settings
    added: list[Mapping[str, Any]] = []
    with Judges() as judges:
        wheelhouse = wheelhouse_of(settings.home, judges=judges)
        for path in files:
            origin = Origin(kind="uploaded", at=utc_now(), by=local_user())
            wheel = wheelhouse.add(path, origin=origin)
            details = {"sha256": wheel.sha256}
            write_down(settings, action="wheel.add", subject=wheel.filename, details=details)
            added.append(wheel.to_dict())
    return added


def remove(
    sha256: Annotated[str, typer.Argument(help="The digest, sha256:….")], *, as_json: AsJson = False
) -> None:
    """Remove a wheel that nothing needs: no environment, no version that was active, no lock.

    One that is damaged always goes, so that a good copy can take its place.
    """
    settings = load().settings
    wheelhouse = wheelhouse_of(settings.home)
    wheel = wheelhouse.get(sha256)
    needs = needed_by(
        wheel,
        wheelhouse=wheelhouse,
        environments=environments_here(),
        bundles=Bundles(settings.home / "bundles"),
    )
    if has_database(settings):
        in_home(
            settings,
            remove_wheel,
            wheel=wheel,
            wheelhouse=wheelhouse,
            needs=needs,
            who=local_user(),
            at=utc_now(),
        )
    else:
        refuse_needed(wheel, needs=needs)
        wheelhouse.remove(wheel)
    emit(wheel.to_dict(), as_json=as_json, show=lambda gone: f"removed {gone['filename']}")
