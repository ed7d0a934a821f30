"""What a run's output and scratch folders hold, and which of their limits that crosses."""

import contextlib
import os
from dataclasses import dataclass, field

from sandbox.cells.cell import Cell
from sandbox.kernel.openat2 import opened
from sandbox.limits import MIB, Limits, most_inodes

_DEEPEST = 64
"""Summing up holds a descriptor for each level: what is deeper would use up the worker's."""


def is_worth_a_look(cell: Cell, limits: Limits) -> bool:
    """Say whether one of the two may be too full; at once, by what their file system holds.

    Without namespaces there is none of their own, and it always is.
    """
    if not cell.facts.has_own_disk:
        return True
    figures = os.fstatvfs(cell.hello.output_fd)
    used_bytes = (figures.f_blocks - figures.f_bfree) * figures.f_frsize
    least_mb = min(limits.output_mb, limits.scratch_mb)
    return used_bytes > least_mb * MIB or figures.f_files - figures.f_ffree > most_inodes(least_mb)


def crossed(cell: Cell, limits: Limits) -> tuple[str, float, float] | None:
    """Return the limit that one of the two crosses, its value, and the figure reached.

    They share a file system, whose size is the sum of both limits: that one folder does not take
    the other's part is seen by summing up, which takes as long as there are files.
    """
    if not is_worth_a_look(cell, limits):
        return None
    for fd, name, most_mb in _folders(cell, limits):
        found = _crossed_by_folder(_usage_of(fd, most_mb), name, most_mb)
        if found is not None:
            return found
    return None


def filled(cell: Cell, limits: Limits) -> str:
    """Return the limit that a full disk was about: bytes or inodes, of output or of scratch.

    That of the folder which crosses one, else of the one that holds more.
    """
    found_in = [
        (_usage_of(fd, most_mb), name, most_mb) for fd, name, most_mb in _folders(cell, limits)
    ]
    for usage, name, most_mb in found_in:
        found = _crossed_by_folder(usage, name, most_mb)
        if found is not None:
            return found[0]
    (output, _, _), (scratch, _, _) = found_in
    return "output_mb" if output.size_bytes > scratch.size_bytes else "scratch_mb"


def _folders(cell: Cell, limits: Limits) -> tuple[tuple[int, str, int], ...]:
    return (
        (cell.hello.output_fd, "output", limits.output_mb),
        (cell.hello.scratch_fd, "scratch", limits.scratch_mb),
    )


def _crossed_by_folder(usage: "_Usage", name: str, most_mb: int) -> tuple[str, float, float] | None:
    if usage.size_bytes > most_mb * MIB:
        return (f"{name}_mb", most_mb, usage.size_bytes / MIB)
    if usage.inodes > most_inodes(most_mb):
        return (f"{name}_inodes", most_inodes(most_mb), usage.inodes)
    if usage.depth > _DEEPEST:
        return (f"{name}_depth", _DEEPEST, usage.depth)
    return None


@dataclass(slots=True)
class _Usage:
    size_bytes: int = 0
    inodes: int = 0
    depth: int = 0
    linked: set[int] = field(default_factory=set[int])
    """Inodes that have more than one name: each is held once."""


def _usage_of(fd: int, most_mb: int) -> _Usage:
    usage = _Usage()
    _sum_up(usage, fd, ".", depth=1, most_inodes=most_inodes(most_mb))
    return usage


def _sum_up(usage: _Usage, parent_fd: int, name: str, *, depth: int, most_inodes: int) -> None:
    """Add a folder to what is held, until it is too much or too deep; a run may change it."""
    usage.inodes += 1
    usage.depth = max(usage.depth, depth)
    if usage.depth > _DEEPEST:
        return
    opening = opened(parent_fd, name, os.O_DIRECTORY)
    with contextlib.suppress(OSError), opening as fd, os.scandir(fd) as entries:
        for entry in entries:
            if usage.inodes > most_inodes or usage.depth > _DEEPEST:
                return
            if entry.is_dir(follow_symlinks=False):
                _sum_up(usage, fd, entry.name, depth=depth + 1, most_inodes=most_inodes)
                continue
            usage.inodes += 1
            with contextlib.suppress(OSError):
                _add(usage, entry.stat(follow_symlinks=False))


def _add(usage: _Usage, status: os.stat_result) -> None:
    if status.st_nlink > 1:
        if status.st_ino in usage.linked:
            return
        usage.linked.add(status.st_ino)
    usage.size_bytes += status.st_blocks * 512
