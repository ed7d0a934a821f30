"""Origins: whose word counts for a name, the house's or the index's. Pure, but for the look.

Whoever may publish to a public index can take the name of a company's own distribution there
and give it a higher version. So a name that was uploaded or built here is the house's alone,
and the index is not even asked for it.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from packages.lock.lock import Offered
from packages.lock.policy import LockPolicy
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse


def wheelhouse_only_names(wheelhouse: Wheelhouse, policy: LockPolicy) -> frozenset[str]:
    """Return the names in the house that come from it alone."""
    return frozenset(
        n for n in wheelhouse.names() if comes_from_wheelhouse_only(n, wheelhouse.find(n), policy)
    )


def comes_from_wheelhouse_only(name: str, here: Iterable[Wheel], policy: LockPolicy) -> bool:
    """Return whether `name`, of which the wheels `here` are in the house, is the house's alone."""
    if any(fnmatchcase(name, pattern) for pattern in policy.wheelhouse_names):
        return True
    if any(fnmatchcase(name, pattern) for pattern in policy.shared_names):
        return False
    return any(wheel.origin.kind != "fetched" for wheel in here)


def judge_origins(
    locked: Iterable[Wheel], wheelhouse: Wheelhouse, policy: LockPolicy
) -> Iterable[Problem]:
    """Yield a problem for each locked wheel of the index's whose name is the house's."""
    for wheel in locked:
        if wheel.origin.kind == "fetched" and comes_from_wheelhouse_only(
            wheel.name, wheelhouse.find(wheel.name), policy
        ):
            yield in_both_places(
                wheel.name, f"{wheel.filename} came from {wheel.origin.index or 'an index'}"
            )


def judge_lacking(
    lacking: Iterable[Offered], wheelhouse: Wheelhouse, policy: LockPolicy
) -> list[Problem]:
    """Return a problem for each wheel that would come from the index and has a house's name."""
    return [
        in_both_places(one.name, f"the lock's {one.wheel} is not in it")
        for one in lacking
        if comes_from_wheelhouse_only(one.name, wheelhouse.find(one.name), policy)
    ]


def in_both_places(name: str, what: str) -> Problem:
    """Return the problem of a name that the house has, and that came from an index too."""
    return Problem(
        code="two-origins",
        what=f"{name} is the house's own (uploaded, built, or on the admin's list), and {what}",
        where=name,
        mend=f"remove what is not meant (`fumehood wheelhouse list {name}`, `remove`), or let the "
        "admin say that the index may have that name too (`lock.shared_names`)",
    )
