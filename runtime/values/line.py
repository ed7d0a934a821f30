"""Which of the waiting jobs a worker does next: one pure decision over what waits."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A job that waits and is due; `platform` is empty where any will do."""

    id: str
    package: str
    platform: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """What a worker can do: `platform` is what its environments are built for."""

    platform: str


def choose(waiting: Iterable[Waiting], *, ability: Ability) -> Waiting | None:
    """Return the first of `waiting`, in the order in which they are due, that can be run.

    >>> arm, intel = (Waiting(id=p, package="hello", platform=p) for p in ("aarch64", "x86_64"))
    >>> choose([arm, intel], ability=Ability(platform="x86_64")).id
    'x86_64'
    """
    return next((one for one in waiting if one.platform in {"", ability.platform}), None)
