"""Judges a pylock.toml that somebody else wrote, in a judge: an author, or uv from an index.

What comes back is what a lock offers for a target; the text itself is parsed nowhere else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from frozen.values import frozen
from packages.bundle.requirements import Requirements
from packages.lock.author_lock import chosen
from packages.lock.lock import Offered, lacks_digest, offered, read_pylock
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.judgement import Judgement
from wheelhouse.judges.pool import Judges
from wheelhouse.metadata.target import Target, target_from, target_told
from wheelhouse.problem import Problem

REQUIREMENTS_JSON = TypeAdapter(Requirements)
BUDGET = Budget(cpu_s=10)
REHEARSED = """lock-version = "1.0"
created-by = "ours"
[[packages]]
name = "ours"
version = "1.0"
marker = "python_version >= '3.9'"
wheels = [{ name = "ours-1.0-py3-none-any.whl", path = "x", size = 1, hashes = { sha256 = "0" } }]
"""


@frozen
class Package:
    """A package of a lock, and the wheel of it that the target takes best, if there is one."""

    name: str
    version: str
    offer: Offered | None
    lacks_digest: bool = False
    """Whether there are wheels of it, and none has a digest to hold it by."""


PACKAGES = Judgement(
    target="packages.lock.judging:judge_packages",
    returns=TypeAdapter(tuple[Package, ...]),
    budget=BUDGET,
)
CHOSEN = Judgement(
    target="packages.lock.judging:judge_author",
    returns=TypeAdapter(tuple[Offered, ...]),
    budget=BUDGET,
)
ADDRESSES = Judgement(
    target="packages.lock.judging:judge_addresses",
    returns=TypeAdapter(dict[str, str]),
    budget=BUDGET,
)


def packages_of(
    text: str, *, target: Target, judges: Judges
) -> tuple[tuple[Package, ...], list[Problem]]:
    """Return the packages of a lock that are for `target`, or what is wrong with the lock."""
    found, problems = judges.judge(
        PACKAGES, about="pylock.toml", text=text, target=target_told(target)
    )
    return found or (), problems


def author_offers(
    text: str, requirements: Requirements, *, target: Target, judges: Judges
) -> tuple[tuple[Offered, ...], list[Problem]]:
    """Return the wheels that an author's lock picks for `target`, or every fault of the lock."""
    found, problems = judges.judge(
        CHOSEN,
        about="pylock.toml",
        text=text,
        requirements=REQUIREMENTS_JSON.dump_python(requirements, mode="json"),
        target=target_told(target),
    )
    return found or (), problems


def addresses_of(text: str, *, judges: Judges) -> tuple[dict[str, str], list[Problem]]:
    """Return each wheel of a lock by its digest (`sha256:<hex>`), with its address or ""."""
    found, problems = judges.judge(ADDRESSES, about="pylock.toml", text=text)
    return found or {}, problems


def rehearse() -> None:
    """Judge a lock of ours, so that a judge has at hand what it needs for any."""
    told, _ = read_pylock(REHEARSED)
    for package in told.packages if told else ():
        if package.marker:
            package.marker.evaluate()


def judge_packages(
    text: str, *, target: Mapping[str, Any]
) -> tuple[tuple[Package, ...] | None, Sequence[Problem]]:
    """Return what the lock offers to the target, package by package."""
    told, problems = read_pylock(text)
    if told is None:
        return None, problems
    here = target_from(target)
    packages = [p for p in told.packages if here.holds(p.marker)]
    return tuple(
        Package(
            name=str(package.name),
            version=str(package.version or ""),
            offer=offered(package, target=here),
            lacks_digest=lacks_digest(package),
        )
        for package in packages
    ), []


def judge_author(
    text: str, *, requirements: Mapping[str, Any], target: Mapping[str, Any]
) -> tuple[tuple[Offered, ...] | None, Sequence[Problem]]:
    """Return the wheels that the author's lock picks."""
    wanted = REQUIREMENTS_JSON.validate_python(requirements)
    return chosen(text, wanted, target=target_from(target))


def judge_addresses(text: str) -> tuple[dict[str, str] | None, Sequence[Problem]]:
    """Return the address of each wheel by its digest."""
    told, problems = read_pylock(text)
    if told is None:
        return None, problems
    wheels = (wheel for package in told.packages for wheel in package.wheels or ())
    return {f"sha256:{w.hashes.get('sha256', '')}": w.url or "" for w in wheels}, []
