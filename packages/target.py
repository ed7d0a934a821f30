"""Target: what an interpreter on a platform accepts, as tags and marker values."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.markers import Environment, default_environment
from packaging.tags import Tag, compatible_tags, cpython_tags, platform_tags
from packaging.utils import parse_wheel_filename

from sandbox.command import Interpreter


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What can be installed: `tags` from best to least, and the marker environment."""

    python: str
    """The exact version, such as 3.12.1."""
    abi: str
    platform: str
    tags: tuple[Tag, ...]
    markers: Environment

    @property
    def python_minor(self) -> str:
        """Return the version without its last part, such as 3.12."""
        return ".".join(self.python.split(".")[:2])

    def rank(self, filename: str) -> int | None:
        """Return how good the wheel is for this target, 0 best; None if it does not fit."""
        offered = parse_wheel_filename(filename)[3]
        ranks = [rank for rank, tag in enumerate(self.tags) if tag in offered]
        return ranks[0] if ranks else None

    def best(self, filenames: Sequence[str]) -> str | None:
        """Return the wheel that fits best, as an installer chooses it; None if none fits."""
        fitting = [(rank, name) for name in filenames if (rank := self.rank(name)) is not None]
        return min(fitting)[1] if fitting else None

    def tags_tried(self, *, most: int = 6) -> str:
        """Return the best few tags as text, and how many more there are."""
        said = ", ".join(str(tag) for tag in self.tags[:most])
        return f"{said} and {len(self.tags) - most} more" if len(self.tags) > most else said


def target_of(interpreter: Interpreter, *, platforms: Sequence[str] | None = None) -> Target:
    """Return what `interpreter` accepts here, or on `platforms` (tags such as linux_x86_64)."""
    minor = tuple(int(part) for part in interpreter.version.split(".")[:2])
    abi = _abi(interpreter.soabi)
    offered = list(platforms or platform_tags())
    tags = [
        *cpython_tags(minor, [abi], offered),
        *compatible_tags(minor, abi, offered),
    ]
    return Target(
        python=interpreter.version,
        abi=abi,
        platform=platform_of(interpreter),
        tags=tuple(dict.fromkeys(tags)),
        markers=_markers(interpreter.version),
    )


def platform_of(interpreter: Interpreter) -> str:
    """Return the platform that `interpreter` was built for, such as x86_64-linux-gnu."""
    return interpreter.soabi.partition("-")[2].partition("-")[2] or platform.machine()


def _abi(soabi: str) -> str:
    parts = soabi.split("-")
    return f"cp{parts[1]}" if len(parts) > 1 and parts[0] == "cpython" else "none"


def _markers(version: str) -> Environment:
    return {
        **default_environment(),
        "implementation_name": "cpython",
        "implementation_version": version,
        "platform_python_implementation": "CPython",
        "python_full_version": version,
        "python_version": ".".join(version.split(".")[:2]),
    }
