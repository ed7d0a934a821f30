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
        found = _crossed_by_folder(_held(fd, most_mb), name, most_mb)
        if found is not None:
            return found
    return None


def filled(cell: Cell, limits: Limits) -> str:
    """Return the limit that a full disk was about: bytes or inodes, of output or of scratch.

    That of the folder which crosses one, else of the one that holds more.
    """
    held = [(_held(fd, most_mb), name, most_mb) for fd, name, most_mb in _folders(cell, limits)]
    for usage, name, most_mb in held:
        found = _crossed_by_folder(usage, name, most_mb)
        if found is not None:
            return found[0]
    (output, _, _), (scratch, _, _) = held
    return "output_mb" if output.size_bytes > scratch.size_bytes else "scratch_mb"


def _folders(cell: Cell, limits: Limits) -> tuple[tuple[int, str, int], ...]:
    return (
        (cell.hello.output_fd, "output", limits.output_mb),
        (cell.hello.scratch_fd, "scratch", limits.scratch_mb),
    )


def _crossed_by_folder(held: "_Held", name: str, most_mb: int) -> tuple[str, float, float] | None:
    if held.size_bytes > most_mb * MIB:
        return (f"{name}_mb", most_mb, held.size_bytes / MIB)
    if held.inodes > most_inodes(most_mb):
        return (f"{name}_inodes", most_inodes(most_mb), held.inodes)
    if held.depth > _DEEPEST:
        return (f"{name}_depth", _DEEPEST, held.depth)
    return None


@dataclass(slots=True)
class _Held:
    size_bytes: int = 0
    inodes: int = 0
    depth: int = 0
    linked: set[int] = field(default_factory=set[int])
    """Inodes that have more than one name: each is held once."""


def _held(fd: int, most_mb: int) -> _Held:
    held = _Held()
    _sum_up(held, fd, ".", depth=1, most_inodes=most_inodes(most_mb))
    return held


def _sum_up(held: _Held, parent_fd: int, name: str, *, depth: int, most_inodes: int) -> None:
    """Add a folder to what is held, until it is too much or too deep; a run may change it."""
    held.inodes += 1
    held.depth = max(held.depth, depth)
    if held.depth > _DEEPEST:
        return
    opening = opened(parent_fd, name, os.O_DIRECTORY)
    with contextlib.suppress(OSError), opening as fd, os.scandir(fd) as entries:
        for entry in entries:
            if held.inodes > most_inodes or held.depth > _DEEPEST:
                return
            if entry.is_dir(follow_symlinks=False):
                _sum_up(held, fd, entry.name, depth=depth + 1, most_inodes=most_inodes)
                continue
            held.inodes += 1
            with contextlib.suppress(OSError):
                _add(held, entry.stat(follow_symlinks=False))


def _add(held: _Held, status: os.stat_result) -> None:
    if status.st_nlink > 1:
        if status.st_ino in held.linked:
            return
        held.linked.add(status.st_ino)
    held.size_bytes += status.st_blocks * 512
