"""What a run's output and scratch folders hold, and which of their limits that crosses."""

import contextlib
import os
from dataclasses import dataclass

from sandbox.cells.cell import Cell
from sandbox.kernel.openat2 import opened
from sandbox.limits import MIB, Limits, most_inodes

_DEEPEST = 64
"""Summing up holds a descriptor for each level: what is deeper would use up the worker's."""


def crossed(cell: Cell, limits: Limits) -> tuple[str, float, float] | None:
    """Return the limit that one of the two crosses, its value, and the figure reached."""
    for fd, name, most_mb in (
        (cell.output_fd, "output", limits.output_mb),
        (cell.scratch_fd, "scratch", limits.scratch_mb),
    ):
        found = _crossed_by_folder(cell, fd, name, most_mb)
        if found is not None:
            return found
    return None


def filled(cell: Cell, limits: Limits) -> str:
    """Return the limit that a full disk was about: bytes or inodes, of output or of scratch.

    That of the folder without a free inode, else of the one that holds more.
    """
    output = _held(cell, cell.output_fd, limits.output_mb)
    scratch = _held(cell, cell.scratch_fd, limits.scratch_mb)
    for held, name in ((output, "output"), (scratch, "scratch")):
        if held.has_no_inodes:
            return f"{name}_inodes"
    return "output_mb" if output.size_bytes > scratch.size_bytes else "scratch_mb"


def _crossed_by_folder(
    cell: Cell, fd: int, name: str, most_mb: int
) -> tuple[str, float, float] | None:
    """Check what a folder holds. With namespaces its tmpfs bounds the bytes by itself."""
    held = _held(cell, fd, most_mb)
    if not cell.layout.has_namespaces and held.size_bytes > most_mb * MIB:
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
    has_no_inodes: bool = False
    """Whether its tmpfs could not hold one more file."""


def _held(cell: Cell, fd: int, most_mb: int) -> _Held:
    """Return blocks and inodes of a folder's tmpfs (fstatvfs(3)).

    Without namespaces the folder is the host's, and what it holds has to be summed up.
    """
    if cell.layout.has_namespaces:
        figures = os.fstatvfs(fd)
        used = (figures.f_blocks - figures.f_bfree) * figures.f_frsize
        inodes = figures.f_files - figures.f_ffree
        return _Held(used, inodes, has_no_inodes=figures.f_ffree == 0)
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
                held.size_bytes += entry.stat(follow_symlinks=False).st_blocks * 512
