"""Addresses: where the admin's index keeps the wheels that an author's lock names.

Such a lock says which wheels, by digest. Where they come from is the admin's to choose, so
the addresses in it are never followed: uv looks the same versions up at the index.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from frozen.values import frozen
from packages.errors import LockFailed
from packages.index.index import Index
from packages.index.through_the_door import DoorwayReport, doorway
from packages.lock.diagnosis import (
    Circumstances,
    diagnose,
    disk_full,
    index_unreachable,
    without_wheels,
    wrong_python,
)
from packages.lock.judging import addresses_of
from packages.lock.lock import Offered
from packages.lock.uv import UvTimeoutError, compile_pylock, scratch_folder
from wheelhouse.judges.pool import Judges
from wheelhouse.problem import Problem

MOST_ASKED_AGAIN = 2
"""Of the names that uv found no wheel of: each costs a call for each other Python."""
OLDEST_MINOR, NEWEST_MINOR = 9, 14
"""Of the Pythons 3.x that runs may have, and that there are."""


@frozen
class Told:
    """uv's lock, and the SHA-256 of each metadata that the index gave out, by wheel."""

    text: str
    metadata: Mapping[str, str]
    unhashed: frozenset[str]
    """The wheels that it lists without a digest; uv computed one of what it was sent."""


async def addressed(
    wanted: Sequence[Offered],
    *,
    index: Index,
    python: Path,
    exclude_newer: datetime | None,
    tried: Circumstances,
    judges: Judges,
) -> tuple[Offered, ...]:
    """Return `wanted` with the addresses of `index`. Raises LockFailed with every problem.

    What the index got after `exclude_newer` is not there for us.
    """
    pinned = "\n".join(f"{one.name}=={one.version}" for one in wanted)
    # Universal, since uv names but the best wheel otherwise, and the lock may mean another.
    options = ["--no-deps", "--universal", "--python-version", tried.target.python_minor]
    options += excluding(exclude_newer)
    told = await ask_index(pinned, index=index, python=python, options=options, tried=tried)
    addresses, problems = await judges.beside(addresses_of, told.text, judges=judges)
    if problems:
        raise LockFailed(*problems)
    unknown = [one for one in wanted if not addresses.get(one.sha256)]
    if unknown:
        raise LockFailed(*(_unknown(one, index) for one in unknown))
    return tuple(replace(one, url=addresses[one.sha256]) for one in wanted)


async def ask_index(
    requirements: str,
    constraints: str = "",
    *,
    index: Index,
    python: Path,
    options: Sequence[str],
    tried: Circumstances,
    kept_out: Iterable[str] = (),
    awaited: str = "answer",
) -> Told:
    """Return the pylock.toml that uv makes of `index`. Raises LockFailed with every problem.

    uv sees the index through a doorway only, without the names `kept_out`. `awaited` is what
    there is none of when it takes too long.
    """
    timeout_s = index.bounds.lock_s
    try:
        async with doorway(index, kept_out=kept_out) as door:
            with scratch_folder() as folder:
                said, text = await compile_pylock(
                    requirements=requirements,
                    constraints=constraints,
                    python=python,
                    sources=options,
                    variables=door.variables(),
                    timeout_s=timeout_s,
                    scratch=Path(folder),
                )
            elsewhere = await _on_other_pythons(said.stderr, python, door, tried, timeout_s)
    except UvTimeoutError as error:
        what = f"no {awaited} within {timeout_s:.0f} s"
        raise LockFailed(index_unreachable(index.shown, what)) from error
    except OSError as error:
        raise LockFailed(disk_full(str(error))) from error
    if said.code != 0:
        stderr = index.redact(door.redact(said.stderr))
        from_uv = [elsewhere.get(one.where, one) for one in diagnose(stderr, [], tried)]
        problems = _weighed(from_uv, door.problems)
        raise LockFailed(*(_named_for_wheelhouse(one, kept_out) for one in problems))
    return Told(
        text=door.true_addresses(text),
        metadata=door.metadata,
        unhashed=frozenset(door.unhashed),
    )


async def _on_other_pythons(
    stderr: str, python: Path, door: DoorwayReport, tried: Circumstances, timeout_s: float
) -> dict[str, Problem]:
    """Return a problem for each name of which uv found no wheel, and another Python has one.

    uv says the same of both, "no usable wheels", so it is asked again, for that name alone.
    """
    found: dict[str, Problem] = {}
    for name, requirement in islice(without_wheels(stderr).items(), MOST_ASKED_AGAIN):
        for minor in _other_minors(tried.target.python_minor):
            with scratch_folder() as folder:
                said, _ = await compile_pylock(
                    requirements=requirement,
                    constraints="",
                    python=python,
                    sources=["--no-deps", "--python-version", minor],
                    variables=door.variables(),
                    timeout_s=timeout_s,
                    scratch=Path(folder),
                )
            if said.code == 0:
                found[name] = wrong_python(requirement, name, there=minor, tried=tried)
                break
    return found


def _other_minors(own: str) -> list[str]:
    """Return the other Pythons that may be asked for, later ones first, the nearest first.

    >>> _other_minors("3.12")
    ['3.13', '3.14', '3.11', '3.10', '3.9']
    """
    minor = int(own.split(".")[1])
    later, earlier = range(minor + 1, NEWEST_MINOR + 1), range(minor - 1, OLDEST_MINOR - 1, -1)
    return [f"3.{one}" for one in (*later, *earlier)]


def _named_for_wheelhouse(problem: Problem, kept_out: Iterable[str]) -> Problem:
    """Say of a name that the index was not asked for it, where that is so."""
    if problem.where not in kept_out:
        return problem
    why = "it is the house's own, so the index was not asked (lock.shared_names)"
    return replace(problem, what=f"{problem.what}; {why}")


def _weighed(from_uv: Sequence[Problem], from_door: Sequence[Problem]) -> Sequence[Problem]:
    """Return what really kept uv from a lock: it knows not why a page was cut, or a link left."""
    cut = [p for p in from_door if p.code in ("too-costly", "index-unreachable")]
    if cut:
        return cut[:1]
    if from_door and {p.code for p in from_uv} <= {"index-unreachable", "lock-unexplained"}:
        return from_door[:1]
    by_name = {problem.where: problem for problem in from_door}
    return [by_name.get(problem.where, problem) for problem in from_uv]


def excluding(newer_than: datetime | None) -> list[str]:
    """Return uv's options for a cooldown."""
    if newer_than is None:
        return []
    return ["--exclude-newer", newer_than.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")]


def _unknown(wanted: Offered, index: Index) -> Problem:
    return Problem(
        code="hash-mismatch",
        what=f"{index.shown} has no {wanted.wheel} with the digest {wanted.sha256}",
        where=wanted.wheel,
        mend="make the lock anew against that index, or let the admin add the wheel "
        f"(`fumehood wheelhouse add {wanted.wheel}`)",
    )
