"""Target: what a Python on a platform accepts, as wheel tags and marker values."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from packaging.markers import Environment, Marker, default_environment
from packaging.tags import Tag, compatible_tags, cpython_tags, platform_tags

from frozen.values import frozen
from wheelhouse.metadata.wheel_name import read_wheel_name

MANYLINUX = re.compile(r"^(?P<libc>manylinux|musllinux)_(\d+)_(\d+)_(?P<machine>\w+)$")
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
OLDEST_GLIBC_MINOR = 5


@frozen
class Target:
    """What can be installed: `tags` from best to least, and the marker environment."""

    python: str
    """The exact version, such as 3.12.1."""
    abi: str
    platform: str
    """What the platform is called, such as x86_64-linux-gnu or manylinux_2_28_x86_64."""
    tags: tuple[Tag, ...]
    markers: Environment

    @property
    def python_minor(self) -> str:
        """Return the version without its last part, such as 3.12."""
        return minor_of(self.python)

    @property
    def mirror_platform(self) -> str:
        """Return the platform as `fumehood wheelhouse mirror --platform` takes it."""
        named = (tag.platform for tag in self.tags)
        return next((p for p in named if p.startswith(("manylinux_", "musllinux_"))), self.platform)

    def rank(self, filename: str) -> int | None:
        """Return how good the wheel is for this target, 0 best; None if it does not fit."""
        offered = read_wheel_name(filename)[3]
        return next((rank for rank, tag in enumerate(self.tags) if tag in offered), None)

    def best(self, filenames: Iterable[str]) -> str | None:
        """Return the wheel that fits best, as an installer chooses it; None if none fits."""
        fitting = [(rank, name) for name in filenames if (rank := self.rank(name)) is not None]
        return min(fitting)[1] if fitting else None

    def holds(self, marker: Marker | None, *, extras: Iterable[str] = ()) -> bool:
        """Return whether `marker` is true here, for any of `extras` or for none."""
        chosen = ["", *extras]
        return marker is None or any(marker.evaluate(self._with(extra)) for extra in chosen)

    def tags_tried(self, *, most: int = 4) -> str:
        """Return the best few tags as text, and how many more there are."""
        said = ", ".join(str(tag) for tag in self.tags[:most])
        return f"{said} and {len(self.tags) - most} more" if len(self.tags) > most else said

    def _with(self, extra: str) -> dict[str, str | set[str] | frozenset[str]]:
        return {**self.markers, "extra": extra}  # type: ignore[dict-item]


def make_target(
    python: str, *, abi: str = "", platform: str = "", platforms: Sequence[str] = ()
) -> Target:
    """Return the target of CPython `python` on `platforms`, this machine's by default.

    `platform` is what people call it; `abi` is cp312 and the like where it is left out.
    """
    major, minor = (int(part) for part in minor_of(python).split("."))
    abi = abi or f"cp{major}{minor}"
    offered = list(platforms or platform_tags())
    tags = [
        *cpython_tags((major, minor), [abi], offered),
        *compatible_tags((major, minor), abi, offered),
    ]
    return Target(
        python=python,
        abi=abi,
        platform=platform or offered[0],
        tags=tuple(dict.fromkeys(tags)),
        markers=_markers(python, machine=_machine(offered[0])),
    )


def target_told(target: Target) -> dict[str, Any]:
    """Return `target` as plain JSON, for a judge."""
    return {
        "python": target.python,
        "abi": target.abi,
        "platform": target.platform,
        "tags": [str(tag) for tag in target.tags],
        "markers": dict(target.markers),
    }


def target_from(told: Mapping[str, Any]) -> Target:
    """Return the target that `target_told` told of."""
    return Target(
        python=told["python"],
        abi=told["abi"],
        platform=told["platform"],
        tags=tuple(Tag(*tag.split("-")) for tag in told["tags"]),
        markers=cast(Environment, told["markers"]),
    )


def platforms_of(platform: str) -> list[str]:
    """Return the platform tags that a machine of `platform` accepts, best first (PEP 600).

    manylinux_2_28_x86_64 stands for every older glibc as well, and for linux_x86_64.
    """
    found = MANYLINUX.match(platform)
    if not found:
        return [platform]
    machine, newest = found["machine"], int(found[3])
    if found["libc"] == "musllinux":
        newer = [f"musllinux_1_{minor}_{machine}" for minor in range(newest, -1, -1)]
        return [*newer, f"linux_{machine}"]
    tags: list[str] = []
    for minor in range(newest, OLDEST_GLIBC_MINOR - 1, -1):
        tags.append(f"manylinux_2_{minor}_{machine}")
        if minor in LEGACY:
            tags.append(f"{LEGACY[minor]}_{machine}")
    return [*tags, f"linux_{machine}"]


def minor_of(python: str) -> str:
    """Return 3.12 for 3.12.1."""
    return ".".join(python.split(".")[:2])


def _machine(platform: str) -> str:
    for machine in ("x86_64", "aarch64", "i686", "ppc64le", "s390x", "riscv64", "armv7l"):
        if platform.endswith(machine):
            return machine
    return ""


def _markers(python: str, *, machine: str) -> Environment:
    full = python if python.count(".") > 1 else f"{python}.0"
    here = default_environment()
    return {
        **here,
        "platform_machine": machine or here["platform_machine"],
        "implementation_name": "cpython",
        "implementation_version": full,
        "platform_python_implementation": "CPython",
        "python_full_version": full,
        "python_version": minor_of(python),
    }
