"""What is missing in the house: walks dependencies the way a resolver begins to.

It answers "which names are not here at all, or not for this target", for all names at once,
where a resolver stops at the first. It does not replace the resolver: it takes the newest
version that fits.
"""

from collections.abc import Iterable
from typing import Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from frozen.values import frozen
from wheelhouse.metadata.target import Target
from wheelhouse.store import Wheel, Wheelhouse

type Why = Literal["absent", "no-version", "wrong-target"]


@frozen
class Lack:
    """A requirement that the house cannot meet for a target, and who asks for it."""

    requirement: str
    name: str
    asked_by: str
    why: Why
    here: tuple[str, ...]
    """The files of that name that are here."""


def lacks(wheelhouse: Wheelhouse, wanted: Iterable[Requirement], *, target: Target) -> list[Lack]:
    """Return each requirement, direct or brought along, that the house cannot meet."""
    found: list[Lack] = []
    seen: set[str] = set()
    waiting = [(requirement, "") for requirement in wanted]
    while waiting:
        requirement, asked_by = waiting.pop(0)
        name = canonicalize_name(requirement.name)
        key = f"{name}{sorted(requirement.extras)}{requirement.specifier}"
        if key in seen or not target.holds(requirement.marker):
            continue
        seen.add(key)
        wheels = wheelhouse.find(name)
        wheel = newest(wheels, requirement, target=target)
        if wheel is None:
            found.append(_lack(requirement, asked_by, wheels))
        else:
            inner = brought(wheel, extras=requirement.extras, target=target)
            waiting += [(needed, wheel.name) for needed in inner]
    return found


def newest(wheels: Iterable[Wheel], requirement: Requirement, *, target: Target) -> Wheel | None:
    """Return the newest of `wheels` that `requirement` and `target` accept, newest first given."""
    for wheel in wheels:
        is_wanted = requirement.specifier.contains(wheel.version, prereleases=True)
        if is_wanted and wheel.yanked is None and target.rank(wheel.filename) is not None:
            return wheel
    return None


def brought(wheel: Wheel, *, extras: Iterable[str], target: Target) -> list[Requirement]:
    """Return what `wheel` requires on `target` with `extras`."""
    inner = [Requirement(line) for line in wheel.requires_dist]
    return [r for r in inner if target.holds(r.marker, extras=extras)]


def _lack(requirement: Requirement, asked_by: str, wheels: list[Wheel]) -> Lack:
    fitting = [w for w in wheels if requirement.specifier.contains(w.version, prereleases=True)]
    why: Why = "wrong-target" if fitting else "no-version" if wheels else "absent"
    return Lack(
        requirement=str(requirement).partition(";")[0].strip(),
        name=canonicalize_name(requirement.name),
        asked_by=asked_by,
        why=why,
        here=tuple(wheel.filename for wheel in fitting or wheels),
    )
