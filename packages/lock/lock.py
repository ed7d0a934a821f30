"""Lock: exactly which wheels, by name and digest. A value, and its one spelling.

The text is a pylock.toml (PEP 751) for one target with one wheel for each package, sorted,
without addresses: the same wheels give the same bytes on every machine. A wheel's `path` is
its bare name, so that the file installs from any folder that holds the wheels.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import cast

from packaging.pylock import Package, PackageWheel, Pylock, PylockValidationError
from packaging.utils import InvalidWheelFilename

from frozen.values import frozen
from packages.bundle.toml import read_toml
from packages.errors import LockRefused
from wheelhouse.metadata.target import Target
from wheelhouse.metadata.wheel_name import read_wheel_name
from wheelhouse.problem import Problem, shown

FILE = "pylock.toml"
MOST_BYTES = 4 * 1024 * 1024
MOST_PACKAGES = 5_000
CREATED_BY = "fumehood"
ORIGINS = ("uploaded", "fetched", "built")


@frozen
class Locked:
    """One wheel of a lock. `sha256` is `sha256:<hex>`."""

    name: str
    version: str
    wheel: str
    sha256: str
    size_bytes: int
    origin: str = field(default="", compare=False)
    """How the wheel came into the house (uploaded, fetched, built); it is no part of the digest."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """The wheels of one environment, sorted by name, for a minor version of Python."""

    python_minor: str
    packages: tuple[Locked, ...]

    @cached_property
    def text(self) -> str:
        """Return the lock as pylock.toml."""
        return _render(self.python_minor, self.packages)

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the text without origins, as `sha256:<hex>`.

        The same wheels are the same lock, whoever brought them.
        """
        bare = (replace(package, origin="") for package in self.packages)
        text = _render(self.python_minor, bare)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    @property
    def size_bytes(self) -> int:
        """Return the size of all wheels."""
        return sum(package.size_bytes for package in self.packages)


@frozen
class Change:
    """One line of a diff of two locks: `before` or `after` is empty where there is none."""

    name: str
    before: str
    after: str

    def to_dict(self) -> dict[str, str]:
        """Return the change as plain JSON."""
        return {"name": self.name, "before": self.before, "after": self.after}


@frozen
class Offered:
    """A wheel that a pylock.toml offers, before one is chosen; `url` may be empty."""

    name: str
    version: str
    wheel: str
    sha256: str
    size_bytes: int | None
    url: str
    uploaded_at: datetime | None = None
    metadata_sha256: str = ""
    """What the index gave out as the wheel's METADATA (PEP 658), by which it was resolved."""
    is_unhashed: bool = False
    """Whether the index lists it without a digest, so that nothing but itself vouches for it."""


def make_lock(packages: Iterable[Locked], *, python_minor: str) -> Lock:
    """Return the lock of `packages`, in canonical order."""
    return Lock(python_minor=python_minor, packages=tuple(sorted(packages, key=lambda p: p.name)))


def read_lock(text: str) -> Lock:
    """Return the lock that `text`, written by us, holds. Raises LockRefused."""
    try:
        told = Pylock.from_dict(tomllib.loads(text))
    except (PylockValidationError, tomllib.TOMLDecodeError) as error:
        raise LockRefused(_fault("bad-lock", str(error), FILE)) from error
    packages = [
        Locked(
            name=package.name,
            version=str(package.version),
            wheel=wheel.filename,
            sha256=f"sha256:{wheel.hashes['sha256']}",
            size_bytes=wheel.size or 0,
            origin=_origin_of(package),
        )
        for package in told.packages
        for wheel in package.wheels or ()
    ]
    minor = str(told.requires_python or "").removeprefix("==").removesuffix(".*")
    return make_lock(packages, python_minor=minor)


def diff(before: Lock | None, after: Lock) -> tuple[Change, ...]:
    """Return what changes from one lock to another, by name."""
    old = {p.name: p for p in before.packages} if before else {}
    new = {p.name: p for p in after.packages}
    changed = sorted(n for n in old.keys() | new.keys() if old.get(n) != new.get(n))
    return tuple(
        Change(
            name=n,
            before=_shown_beside(old.get(n), new.get(n)),
            after=_shown_beside(new.get(n), old.get(n)),
        )
        for n in changed
    )


def read_pylock(text: str, *, where: str = FILE) -> tuple[Pylock | None, list[Problem]]:
    """Return any pylock.toml as packaging reads it, or its faults. For judges."""
    if len(text) > MOST_BYTES:
        return None, [_fault("bad-lock", f"it is larger than {MOST_BYTES} bytes", where)]
    try:
        told = Pylock.from_dict(read_toml(text))
    except PylockValidationError as error:
        return None, [_fault("bad-lock", shown(str(error), most=300), where)]
    except (ValueError, RecursionError) as error:  # tomllib.TOMLDecodeError is a ValueError
        return None, [_fault("bad-lock", f"it is not TOML: {error}", where)]
    if len(told.packages) > MOST_PACKAGES:
        what = f"{len(told.packages)} packages; the limit is {MOST_PACKAGES}"
        return None, [_fault("bad-lock", what, where)]
    return told, []


def offered(package: Package, *, target: Target) -> Offered | None:
    """Return the wheel of `package` that `target` takes best; None if there is none."""
    named = {wheel.filename: wheel for wheel in package.wheels or () if _is_usable(wheel)}
    best = target.best(named)
    if best is None:
        return None
    wheel = named[best]
    return Offered(
        name=str(package.name),
        version=str(package.version or read_wheel_name(best)[1]),
        wheel=best,
        sha256=f"sha256:{wheel.hashes['sha256']}",
        size_bytes=wheel.size,
        url=wheel.url or "",
        uploaded_at=wheel.upload_time,
    )


def lacks_digest(package: Package) -> bool:
    """Return whether there are wheels of `package`, and none has a sha256 to hold it by."""
    wheels = package.wheels or ()
    return bool(wheels) and all(len(w.hashes.get("sha256", "")) != 64 for w in wheels)


def _is_usable(wheel: PackageWheel) -> bool:
    """Return whether a wheel has a digest and a name that says what it is."""
    try:
        read_wheel_name(wheel.filename)
    except InvalidWheelFilename:
        return False
    return len(wheel.hashes.get("sha256", "")) == 64


def _render(python_minor: str, packages: Iterable[Locked]) -> str:
    lines = [
        'lock-version = "1.0"',
        f'created-by = "{CREATED_BY}"',
        f'requires-python = "=={python_minor}.*"',
    ]
    for package in packages:
        hashes = f'{{ sha256 = "{package.sha256.removeprefix("sha256:")}" }}'
        name, size = json.dumps(package.wheel), package.size_bytes
        lines += [
            "",
            "[[packages]]",
            f"name = {json.dumps(package.name)}",
            f"version = {json.dumps(package.version)}",
            "wheels = [",
            f"    {{ name = {name}, path = {name}, size = {size}, hashes = {hashes} }},",
            "]",
            *(
                [f'tool = {{ fumehood = {{ origin = "{package.origin}" }} }}']
                if package.origin
                else []
            ),
        ]
    if "[[packages]]" not in lines:
        lines.append("packages = []")
    return "\n".join(lines) + "\n"


def _origin_of(package: Package) -> str:
    """Return the origin that a lock of ours says; whatever else may be there is not believed."""
    told: object = (package.tool or {}).get("fumehood")
    origin = cast("dict[str, object]", told).get("origin") if isinstance(told, dict) else ""
    return origin if origin in ORIGINS else ""


def _shown_beside(one: Locked | None, other: Locked | None) -> str:
    """Return the version, and the wheel's name and digest where only those differ."""
    if one is None:
        return ""
    if other is None or one.version != other.version:
        return one.version
    return f"{one.version} ({one.wheel}, {one.sha256[:19]})"


def _fault(code: str, what: str, where: str) -> Problem:
    mend = "make the lock anew (`uv pip compile --format pylock.toml`), or leave it out"
    return Problem(code=code, what=what, where=where, mend=mend)
