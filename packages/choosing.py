"""Choosing: of the wheels that uv's lock offers, the one of each that is installed. Pure."""

from dataclasses import replace

from packages.addresses import Told
from packages.diagnosis import adding, without_digest
from packages.errors import LockFailed
from packages.lock import Lock, Offered, lacks_digest, offered, pylock_of
from packages.requirements import Requirements
from wheelhouse.problem import Problem
from wheelhouse.target import Target


def choice(text: str, target: Target, *, told: Told | None = None) -> tuple[Offered, ...]:
    """Return the wheel of each package of uv's lock that the target takes best."""
    packages = pylock_of(text).packages
    found = [(package, offered(package, target=target)) for package in packages]
    lacking = [
        without_digest(str(package.name))
        if lacks_digest(package)
        else unfit(str(package.name), target)
        for package, offer in found
        if offer is None
    ]
    if lacking:
        raise LockFailed(*lacking)
    said = told or Told(text=text, metadata={}, unhashed=frozenset())
    return tuple(
        replace(
            offer,
            metadata_sha256=said.metadata.get(offer.wheel, ""),
            is_unhashed=offer.wheel in said.unhashed,
        )
        for _, offer in found
        if offer is not None
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
