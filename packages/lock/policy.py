"""Lock policy: what the admin lets into any lock, whoever asks. Pure decisions."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from frozen.values import frozen
from packages.lock.lock import Locked
from sandbox.limits import MIB
from wheelhouse.advisories.advisories import Advisories
from wheelhouse.advisories.osv import Advisory
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel


@frozen
class LockPolicy:
    """The admin's rules. Entries are requirements, such as `urllib3<2` or plain `six`.

    `exclude_newer` is the cooldown: nothing that the index got later comes through the gate.
    What an admin put into the wheelhouse has been let in already.
    """

    exclude_newer: datetime | timedelta | None = None
    """A moment, or an age: what is younger than seven days, say."""
    allow: tuple[str, ...] = ()
    """If not empty, only these distributions may be locked."""
    deny: tuple[str, ...] = ()
    advisories: Literal["warn", "refuse"] = "warn"
    """What a known advisory against a locked version leads to."""

    records: Literal["note", "refuse"] = "note"
    """What a wheel with a wrong RECORD leads to."""

    wheelhouse_names: tuple[str, ...] = ()
    """Names, or patterns of them (`acme-*`), that come from the house alone, in it or not."""
    shared_names: tuple[str, ...] = ()
    """Names that may come from the index although some of their wheels were uploaded."""
    wheels: int = 2_000
    wheels_mb: int = 32_768
    """How many wheels a lock may have, and how many MiB they may have together."""

    def cutoff(self, now: datetime) -> datetime | None:
        """Return the moment after which nothing may have come to the index; None for no limit."""
        newest = self.exclude_newer
        moment = now - newest if isinstance(newest, timedelta) else newest
        return moment.astimezone(UTC) if moment else None


def judge_policy(packages: Iterable[Locked], policy: LockPolicy) -> list[Problem]:
    """Return a problem for each package that the admin's lists keep out."""
    problems: list[Problem] = []
    for package in packages:
        denied = next((rule for rule in policy.deny if _matches(rule, package)), None)
        if denied is not None:
            problems.append(_fault(package, f"the admin denies {denied}"))
        elif policy.allow and not any(_matches(rule, package) for rule in policy.allow):
            problems.append(_fault(package, "it is not on the admin's list of what may be locked"))
    return problems


def judge_extent(sizes: Sequence[int], policy: LockPolicy) -> list[Problem]:
    """Return what keeps a lock of wheels of these sizes (0 where one is not known) from being.

    >>> [problem.what for problem in judge_extent([1] * 3, LockPolicy(wheels=2))]
    ['it takes 3 wheels, of at most 2 (lock.wheels)']
    """
    problems: list[Problem] = []
    if len(sizes) > policy.wheels:
        problems.append(too_large(f"{len(sizes)} wheels, of at most {policy.wheels} (lock.wheels)"))
    if sum(sizes) > policy.wheels_mb * MIB:
        most = f"{policy.wheels_mb} MiB (lock.wheels_mb)"
        problems.append(too_large(f"{sum(sizes) / MIB:.1f} MiB of wheels, of at most {most}"))
    return problems


def too_large(what: str) -> Problem:
    """Return the problem of a lock that takes more than the admin gives one."""
    return Problem(
        code="too-costly",
        what=f"it takes {what}",
        where="pylock.toml",
        mend="ask for less, or let the admin raise the bound (`fumehood config show`, lock)",
    )


def judge_advisories(packages: Iterable[Locked], known: Advisories) -> list[Problem]:
    """Return a problem for each advisory against what would be locked."""
    return [
        _vulnerable(advisory)
        for package in packages
        for advisory in known.touching(package.name, package.version)
    ]


def judge_records(wheels: Iterable[Wheel]) -> list[Problem]:
    """Return a problem for each wheel whose RECORD says what is not so."""
    return [
        Problem(
            code="wrong-record",
            what=f"the RECORD of {wheel.filename} is wrong: {'; '.join(wheel.record_faults)}",
            where=wheel.name,
            mend=f"ask for another version of {wheel.name}; or, since the lock's SHA-256 vouches "
            "for the wheel as a whole, let the admin note it instead (`lock.records`)",
        )
        for wheel in wheels
        if wheel.record_faults
    ]


def _vulnerable(advisory: Advisory) -> Problem:
    fix = f"ask for {advisory.name}>={advisory.fixed_in}" if advisory.fixed_in else "avoid it"
    also = f" ({', '.join(advisory.aliases)})" if advisory.aliases else ""
    return Problem(
        code="known-vulnerability",
        what=f"{advisory.name} {advisory.version}: {advisory.id}{also}: {advisory.summary}",
        where=advisory.name,
        mend=f"{fix}, or let the admin warn instead of refuse (`fumehood config show`)",
    )


def _matches(rule: str, package: Locked) -> bool:
    requirement = Requirement(rule)
    is_named = canonicalize_name(requirement.name) == package.name
    return is_named and requirement.specifier.contains(package.version, prereleases=True)


def _fault(package: Locked, why: str) -> Problem:
    return Problem(
        code="distribution-denied",
        what=f"{package.name} {package.version} may not be locked: {why}",
        where=package.name,
        mend="ask for another version or distribution, or ask the admin (`fumehood config show`)",
    )
