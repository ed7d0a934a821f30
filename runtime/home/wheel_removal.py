"""Removing one wheel from the wheelhouse: refused while anything needs it, and written down."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from packages.archive import Bundles
from packages.environment.environment import Environments
from packages.environment.maintenance import listing
from packages.lock.lock import read_lock
from runtime.faults.errors import StateConflict
from runtime.home.wheel_pruning import activation_under_way, authors_digests
from runtime.store.access import audit
from runtime.store.packages import activations
from runtime.values.records import JsonObject
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse
from wheelhouse.upkeep import is_rotten


def needed_by(
    wheel: Wheel, *, wheelhouse: Wheelhouse, environments: Environments, bundles: Bundles
) -> list[str] | None:
    """Return what in this home needs `wheel`, in words; None where it rotted, and may go."""
    if is_rotten(wheelhouse, wheel):
        return None
    return [*_environments(wheel, environments), *_bundles(wheel, bundles)]


def remove_wheel(
    connection: Connection,
    *,
    wheel: Wheel,
    wheelhouse: Wheelhouse,
    needs: list[str] | None,
    who: str,
    at: datetime,
    origin: JsonObject | None = None,
) -> None:
    """Remove `wheel` and write it down, in one transaction. Raises StateConflict if needed.

    `needs` is what needs it besides the locks in the database. No activation can begin
    meanwhile: it may just have chosen this wheel.
    """
    if activations.unfinished(connection):
        raise activation_under_way(wheel.filename)
    if needs is not None:
        refuse_needed(wheel, needs=[*needs, *_versions(wheel, activations.locks(connection))])
    wheelhouse.remove(wheel)
    audit.append(
        connection,
        at=at,
        who=who,
        action="wheel.remove",
        subject=wheel.filename,
        details={"sha256": wheel.sha256, **(origin or {})},
    )


def refuse_needed(wheel: Wheel, *, needs: list[str] | None) -> None:
    """Raise StateConflict, with a problem for each of `needs`."""
    if needs:
        place = wheel.filename
        mend = (
            f"`fumehood wheelhouse yank {wheel.sha256}` keeps it out of new locks; "
            "`fumehood wheelhouse prune` removes what nothing needs any more"
        )
        raise StateConflict(
            f"{wheel.filename} is needed",
            where=place,
            problems=[
                Problem(code="wheel-in-use", what=f"{one} needs it", where=place, mend=mend)
                for one in needs
            ],
        )


def _environments(wheel: Wheel, environments: Environments) -> Iterator[str]:
    for kept in listing(environments):
        if any(item.sha256 == wheel.sha256 for item in kept.inventory.installed):
            yield f"the environment {kept.key[:16]}"


def _bundles(wheel: Wheel, bundles: Bundles) -> Iterator[str]:
    for name, digests in authors_digests(bundles):
        if wheel.sha256 in digests:
            yield f"the pylock.toml of {name}"


def _versions(wheel: Wheel, locks: tuple[str, ...]) -> Iterator[str]:
    if any(p.sha256 == wheel.sha256 for text in locks for p in read_lock(text).packages):
        yield "the lock of a version that was active"
