"""Whose turn it is: which of the waiting jobs is next, as pure decisions over what waits.

Jobs of one package, sent by one principal, stand in a line. The lines take turns (start-time fair
queueing, Goyal and others, SIGCOMM 1996): a job's turn is one after that of the last one in its
line, and never before the turn that it is now. So whoever sends a thousand jobs waits for its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

NOT_DUE = 10**15
"""Turns from here on are of jobs that are not due yet, in the order in which they will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A job whose turn may come; `platform` is empty where any will do."""

    id: str
    package: str
    platform: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """What a worker can do: `platform` is what its environments are built for."""

    platform: str


def choose(waiting: Iterable[Waiting], *, ability: Ability) -> Waiting | None:
    """Return the first of `waiting`, in the order of their turns, that can be run.

    >>> arm, intel = (Waiting(id=p, package="hello", platform=p) for p in ("aarch64", "x86_64"))
    >>> choose([arm, intel], ability=Ability(platform="x86_64")).id
    'x86_64'
    """
    return next((one for one in waiting if one.platform in {"", ability.platform}), None)


def turn_after(*, now: int | None, last_of_line: int | None) -> int:
    """Return the turn of a job that joins its line. None: nobody waits at all, or in the line.

    >>> turn_after(now=7, last_of_line=None), turn_after(now=7, last_of_line=9)
    (7, 10)
    """
    return max(now or 0, 0 if last_of_line is None else last_of_line + 1)


def turn_when_due(due_at: datetime) -> int:
    """Return the turn of a job that is not due before then."""
    return NOT_DUE + round(due_at.timestamp() * 1000)
