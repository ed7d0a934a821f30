"""Limits: what a cell may use at most, and how one limit narrows another."""

from dataclasses import fields
from typing import Self

from frozen.values import frozen

MIB = 1024 * 1024
WALL_TASKS = 3
"""Of the processes below a cell's first one, bubblewrap's own or the subreaper."""


@frozen
class Limits:
    """What one run may use at most. Every limit that is crossed is named in the Outcome.

    Times are seconds, sizes MiB (2**20 bytes) unless the name says otherwise.
    """

    wall_s: float = 60.0
    cpu_s: float = 60.0
    memory_mb: int = 1024
    processes: int = 64
    open_files: int = 256
    output_mb: int = 256
    output_files: int = 10_000
    scratch_mb: int = 256
    log_kb: int = 1024
    log_lines: int = 10_000
    result_kb: int = 1024
    cpus: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a limit that is not above zero."""
        for name in limit_names():
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")

    def under(self, ceiling: Self) -> Self:
        """Return the narrower of the two, limit by limit."""
        narrowed = {
            name: min(getattr(self, name), getattr(ceiling, name)) for name in limit_names()
        }
        return type(self)(**narrowed)


def limit_names() -> tuple[str, ...]:
    """Return the names of all limits, in the order of their declaration."""
    return tuple(field.name for field in fields(Limits))


def most_inodes(most_mb: int) -> int:
    """Return how many files and folders there may be where `most_mb` may be held."""
    return max(1024, most_mb * 64)
