"""The author's own pylock.toml: honoured if it is whole and satisfies requirements.txt.

Names, versions and digests are the author's to choose; where the bytes come from is not, so
its addresses are never followed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from packaging.pylock import Package, Pylock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from packages.bundle.requirements import Requirements, Wanted
from packages.lock.lock import Offered, offered, read_pylock
from wheelhouse.lacking.closure import brought
from wheelhouse.metadata.target import Target
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel

MEND = "make the lock anew (`uv pip compile --format pylock.toml`), or leave it out"


def chosen(
    text: str, requirements: Requirements, *, target: Target
) -> tuple[tuple[Offered, ...] | None, list[Problem]]:
    """Return the wheels that the lock picks for `target`, or every fault. For judges."""
    told, problems = read_pylock(text)
    if told is None:
        return None, problems
    packages = [p for p in told.packages if target.holds(p.marker)]
    problems = [*_judge_lock(told, target), *_judge_packages(packages)]
    problems += _judge_requirements(packages, requirements, target)
    found = [(package, offered(package, target=target)) for package in packages]
    problems += [_unfit(package, target) for package, offer in found if offer is None]
    if problems:
        return None, problems
    return tuple(replace(offer, url="") for _, offer in found if offer is not None), []


def judge_closure(
    wheels: Sequence[Wheel], requirements: Requirements, *, target: Target
) -> list[Problem]:
    """Return a problem for each dependency of a locked wheel that the lock does not meet.

    uv never saw this lock as a whole; what it leaves out would be found by an import, in a job.
    """
    by_name = {wheel.name: wheel for wheel in wheels}
    extras: dict[str, set[str]] = defaultdict(set)
    for wanted in requirements.wanted:
        extras[wanted.name] |= Requirement(wanted.text).extras
    found: dict[str, Problem] = {}
    waiting = list(by_name)
    while waiting:
        wheel = by_name[waiting.pop()]
        for needed in brought(wheel, extras=extras[wheel.name], target=target):
            name = canonicalize_name(needed.name)
            there = by_name.get(name)
            if there is None or not needed.specifier.contains(there.version, prereleases=True):
                found[f"{wheel.name} {needed}"] = _unmet(wheel, needed, there)
            elif needed.extras - extras[name]:
                extras[name] |= needed.extras
                waiting.append(name)
    return list(found.values())


def _unmet(wheel: Wheel, needed: Requirement, there: Wheel | None) -> Problem:
    has = f"the lock has {there.version}" if there else "it is not in the lock"
    what = f"{wheel.name} {wheel.version} needs {needed}; {has}"
    return _fault("lock-contradicts" if there else "lock-lacks", what, str(needed.name))


def _judge_lock(told: Pylock, target: Target) -> Iterator[Problem]:
    wanted = told.requires_python
    if wanted is not None and not wanted.contains(target.python, prereleases=True):
        what = f"the lock is for Python {wanted}; this is {target.python}"
        yield _fault("wrong-python-or-platform", what, "")
    if told.environments and not any(target.holds(marker) for marker in told.environments):
        yield _fault("wrong-python-or-platform", "none of its environments is this one", "")


def _judge_packages(packages: list[Package]) -> Iterator[Problem]:
    """Yield a problem for each package that comes from a place that only the admin may choose."""
    names = Counter(str(package.name) for package in packages)
    for name in sorted(name for name, count in names.items() if count > 1):
        yield _fault("bad-lock", f"{name} is there twice for this Python", name)
    for package in packages:
        name = str(package.name)
        if package.vcs or package.directory or package.archive:
            what = f"{name} comes from a repository, a folder or an archive, not from an index"
            yield _fault("direct-url", what, name)
        elif not package.wheels:
            yield _fault("source-only", f"{name} is locked as source only", name)


def _judge_requirements(
    packages: list[Package], requirements: Requirements, target: Target
) -> Iterator[Problem]:
    """Yield a problem for each requirement or constraint that the lock does not meet."""
    versions = {str(p.name): p.version for p in packages}
    for wanted in requirements.wanted:
        requirement = Requirement(wanted.text)
        if target.holds(requirement.marker) and wanted.name not in versions:
            what = f"{wanted.text} is asked for and not in the lock"
            yield _fault("lock-lacks", what, wanted.name)
    for wanted in (*requirements.wanted, *requirements.constraints):
        yield from _judge_version(wanted, versions.get(wanted.name), target)


def _judge_version(wanted: Wanted, version: Version | None, target: Target) -> Iterator[Problem]:
    requirement = Requirement(wanted.text)
    is_asked = target.holds(requirement.marker)
    if version and is_asked and not requirement.specifier.contains(version, prereleases=True):
        what = f"{wanted.where} asks for {wanted.text}; the lock has {version}"
        yield _fault("lock-contradicts", what, wanted.name)


def _unfit(package: Package, target: Target) -> Problem:
    what = f"no wheel of {package.name} {package.version} fits (tags tried: {target.tags_tried()})"
    return _fault("wrong-python-or-platform", what, str(package.name))


def _fault(code: str, what: str, name: str) -> Problem:
    where = f"pylock.toml: {name}" if name else "pylock.toml"
    return Problem(code=code, what=what, where=where, mend=MEND)
