"""Addresses: where the admin's index keeps the wheels that an author's lock names.

Such a lock says which wheels, by digest. Where they come from is the admin's to choose, so
the addresses in it are never followed: uv looks the same versions up at the index.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from packages.diagnosis import Circumstances, diagnose, index_unreachable
from packages.errors import LockFailed
from packages.index import Index
from packages.lock import Offered
from packages.lock_judging import addresses_of
from packages.uv import UvTimeoutError, compile_pylock, scratch_folder
from wheelhouse.judges.pool import Judges
from wheelhouse.problem import Problem

TIMEOUT_S = 600.0


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
    text = await ask_index(
        pinned, index=index, python=python, options=options, timeout_s=TIMEOUT_S, tried=tried
    )
    addresses, problems = await judges.beside(addresses_of, text, judges=judges)
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
    timeout_s: float,
    tried: Circumstances,
    awaited: str = "answer",
) -> str:
    """Return the pylock.toml that uv makes of `index` alone. Raises LockFailed with every problem.

    `awaited` is what there is none of when it takes too long.
    """
    try:
        with scratch_folder() as folder:
            said, text = await compile_pylock(
                requirements=requirements,
                constraints=constraints,
                python=python,
                sources=options,
                variables=index.variables(),
                timeout_s=timeout_s,
                scratch=Path(folder),
            )
    except UvTimeoutError as error:
        what = f"no {awaited} within {timeout_s:.0f} s"
        raise LockFailed(index_unreachable(index.shown, what)) from error
    if said.code != 0:
        raise LockFailed(*diagnose(index.redact(said.stderr), [], tried))
    return text


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
