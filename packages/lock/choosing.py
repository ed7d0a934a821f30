"""Choosing: of the wheels that uv's lock offers, the one of each that is installed. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from packages.bundle.requirements import Requirements
from packages.errors import LockFailed
from packages.lock.addresses import Told
from packages.lock.diagnosis import adding, without_digest
from packages.lock.judging import Package
from packages.lock.lock import Lock, Offered
from wheelhouse.metadata.target import Target
from wheelhouse.problem import Problem


def choice(
    packages: Sequence[Package], target: Target, *, told: Told | None = None
) -> tuple[Offered, ...]:
    """Return the wheel of each package of uv's lock that the target takes best.

    Raises LockFailed with a problem for each that has none.
    """
    lacking = [
        without_digest(package.name) if package.lacks_digest else unfit(package.name, target)
        for package in packages
        if package.offer is None
    ]
    if lacking:
        raise LockFailed(*lacking)
    said = told or Told(text="", metadata={}, unhashed=frozenset())
    return tuple(
        replace(
            package.offer,
            metadata_sha256=said.metadata.get(package.offer.wheel, ""),
            is_unhashed=package.offer.wheel in said.unhashed,
        )
        for package in packages
        if package.offer is not None
    )


def judge_hashes(lock: Lock, requirements: Requirements) -> list[Problem]:
    """Return a problem for each wheel whose digest is none of those that its author allows."""
    allowed = {w.name: w for w in (*requirements.wanted, *requirements.constraints) if w.hashes}
    problems: list[Problem] = []
    for package in lock.packages:
        wanted = allowed.get(package.name)
        strong = [h for h in wanted.hashes if h.startswith("sha256:")] if wanted else []
        if wanted and package.sha256 not in strong:
            problems.append(
                Problem(
                    code="hash-mismatch",
                    what=f"{package.wheel} has the digest {package.sha256}, "
                    f"and {wanted.where} allows {', '.join(wanted.hashes)}",
                    where=wanted.where,
                    mend=f"correct the --hash (`fumehood wheelhouse show {package.name}`), or put "
                    f"the wheel that has it in its place: {adding(package.name)}",
                )
            )
    return problems


def unfit(name: str, target: Target) -> Problem:
    """Return the problem of a distribution that has no wheel for `target`."""
    return Problem(
        code="wrong-python-or-platform",
        what=f"no wheel of {name} fits Python {target.python} on {target.platform} "
        f"(tags tried: {target.tags_tried()})",
        where=name,
        mend=f"add a wheel for this target ({adding(name)}), "
        "or set requires_python in the manifest to a Python that there are wheels for",
    )
