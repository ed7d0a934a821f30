"""Keeping the house in order: what is damaged, what lacks something, what nobody uses."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from frozen.values import frozen
from wheelhouse.durable import remove_tree, sweep_aside
from wheelhouse.lacking.closure import Lack, lacks
from wheelhouse.metadata.target import Target
from wheelhouse.metadata.wheel import digest_of
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse

ABANDONED_AFTER_S = 3600.0


@frozen
class Pruned:
    """What a pruning removed, or would remove."""

    wheels: tuple[Wheel, ...]
    unpacked: int
    size_bytes: int


def verify(
    wheelhouse: Wheelhouse, *, targets: Iterable[Target] = (), names: Iterable[str] = ()
) -> list[Problem]:
    """Return a problem for each wheel that rotted, and for each dependency that is missing.

    Digests are computed anew. Dependencies are looked for on each of `targets`; `names`
    narrows the look to these distributions.
    """
    wanted = list(names)
    wheels = (
        [w for name in wanted for w in wheelhouse.find(name)]
        if wanted
        else list(wheelhouse.wheels())
    )
    problems = [problem for wheel in wheels for problem in _verify_file(wheelhouse, wheel)]
    for target in targets:
        problems += [
            _missing(lack, target) for lack in missing_for(wheelhouse, wheels, target=target)
        ]
    return problems


def missing_for(wheelhouse: Wheelhouse, wheels: Iterable[Wheel], *, target: Target) -> list[Lack]:
    """Return what `wheels` need on `target` and the house lacks, each once."""
    fitting = [wheel for wheel in wheels if target.rank(wheel.filename) is not None]
    found: dict[str, Lack] = {}
    for wheel in fitting:
        pinned = Requirement(f"{wheel.name}=={wheel.version}")
        for lack in lacks(wheelhouse, [pinned], target=target):
            found.setdefault(lack.requirement, lack)
    return list(found.values())


def prune(
    wheelhouse: Wheelhouse, *, in_use: Iterable[str], now: float, is_dry_run: bool = False
) -> Pruned:
    """Remove the wheels whose digest is not `in_use`, and what was unpacked of wheels gone by.

    `in_use` are the digests (`sha256:…`) of all locks and environments. A rehearsal removes
    nothing. `now` (seconds since the epoch) tells abandoned half-made things from fresh ones.
    """
    kept = {digest.removeprefix("sha256:") for digest in in_use}
    unused = [wheel for wheel in wheelhouse.wheels() if wheel.hex_digest not in kept]
    size = sum(wheel.size_bytes for wheel in unused)
    gone = {wheel.hex_digest for wheel in unused}
    here = {wheel.hex_digest for wheel in wheelhouse.wheels()} - gone
    folders = [f for f in _derived(wheelhouse) if f.name not in here and not f.name.startswith(".")]
    size += sum(_size_of(folder) for folder in folders)
    if not is_dry_run:
        for wheel in unused:
            wheelhouse.remove(wheel)
        for folder in folders:
            remove_tree(folder)
        for place in (wheelhouse.root, wheelhouse.root / "unpacked"):
            sweep_aside(place, older_than_s=ABANDONED_AFTER_S, now=now)
    return Pruned(wheels=tuple(unused), unpacked=len(folders), size_bytes=size)


def is_rotten(wheelhouse: Wheelhouse, wheel: Wheel) -> bool:
    """Return whether the file of `wheel` is gone, or no longer what was added."""
    return any(_verify_file(wheelhouse, wheel))


def _verify_file(wheelhouse: Wheelhouse, wheel: Wheel) -> Iterator[Problem]:
    path = wheelhouse.path(wheel)
    if not path.is_file():
        yield _rotten(wheel, "its file is missing")
    elif digest_of(path) != wheel.sha256:
        yield _rotten(wheel, f"its digest is no longer {wheel.sha256}")


def _rotten(wheel: Wheel, what: str) -> Problem:
    mend = f"`fumehood wheelhouse remove {wheel.sha256}`, then add a good copy"
    return Problem(code="corrupt-wheel", what=what, where=wheel.filename, mend=mend)


def _missing(lack: Lack, target: Target) -> Problem:
    asked = f", which {lack.asked_by} needs," if lack.asked_by else ""
    here = f"; here: {', '.join(lack.here[:4])}" if lack.here else ""
    codes = {
        "absent": "not-in-wheelhouse",
        "no-version": "no-version-satisfies",
        "wrong-target": "wrong-python-or-platform",
    }
    return Problem(
        code=codes[lack.why],
        what=f"{lack.requirement}{asked} is missing for Python {target.python} "
        f"on {target.platform}{here}",
        where=lack.name,
        mend=f"`fumehood wheelhouse mirror '{lack.requirement}' --python {target.python_minor} "
        f"--platform {target.mirror_platform}` on a connected machine",
    )


def _derived(wheelhouse: Wheelhouse) -> list[Path]:
    """Return the folders of everything that was made from wheels."""
    places = (wheelhouse.root / "unpacked", wheelhouse.root / "bytecode")
    return [folder for place in places if place.is_dir() for folder in place.iterdir()]


def _size_of(folder: Path) -> int:
    """Return what removing `folder` frees: files that no environment links to as well."""
    told = (path.lstat() for path in folder.rglob("*") if path.is_file())
    return sum(stat.st_size for stat in told if stat.st_nlink == 1)
