"""Collects what a dead cell left in its output folder, from a descriptor, trusting nothing.

Every name is opened with openat2(2) and RESOLVE_BENEATH | NO_SYMLINKS | NO_MAGICLINKS, after
every process of the cell is dead, so no path can be swapped under us and no link, device or
FIFO is followed, opened or waited for.
"""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from frozen.values import frozen
from sandbox.command import Output, Refusal
from sandbox.kernel.openat2 import Unopenable, opened
from sandbox.limits import MIB, Limits

_CHUNK_BYTES = 1 << 20
_DEEPEST = 32
_LONGEST_PATH_BYTES = 1024
_MOST_REFUSALS = 100
"""How many are told of; the rest is counted. 100,000 links made an artifact of 132 MB."""


@frozen
class Collected:
    """What was collected, and what was not and why."""

    outputs: tuple[Output, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    refused: int = 0
    """How many there were; `refusals` are the first of them."""
    crossed: tuple[str, float, float] | None = None
    """The limit that the outputs crossed, its value, and the figure reached."""


def is_empty(folder_fd: int) -> bool:
    """Return whether there is nothing to collect."""
    try:
        with opened(folder_fd, ".", os.O_DIRECTORY) as fd, os.scandir(fd) as entries:
            return next(entries, None) is None
    except Unopenable:
        return False


def collect(folder_fd: int, destination: Path, limits: Limits) -> Collected:
    """Copy each regular file below `folder_fd` to `destination`, a folder no cell can see.

    Blocks on disk: call it off the event loop. Raises OSError when the *host's* disk fails.
    """
    walk = _Walk(destination=destination, limits=limits)
    try:
        walk.folder(folder_fd, prefix="", depth=0)
    except Unopenable as fault:
        walk.refuse(".", f"it cannot be opened: {fault}")
    return Collected(
        outputs=tuple(walk.outputs),
        refusals=tuple(walk.refusals),
        refused=walk.refused,
        crossed=walk.crossed,
    )


@dataclass(slots=True)
class _Walk:
    destination: Path
    limits: Limits
    outputs: list[Output] = field(default_factory=list[Output])
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    refused: int = 0
    size_bytes: int = 0
    crossed: tuple[str, float, float] | None = None

    def folder(self, parent_fd: int, *, prefix: str, depth: int) -> None:
        """Collect one folder, its entries in the order of their names."""
        with opened(parent_fd, ".", os.O_DIRECTORY) as fd:
            with os.scandir(fd) as entries:
                names = sorted(os.fsencode(entry.name) for entry in entries)
            if prefix and not names:
                self.refuse(prefix.rstrip("/"), "an empty folder; only files are kept")
            for name in names:
                if self.crossed is not None:
                    return
                self._entry(fd, name, prefix=prefix, depth=depth)

    def _entry(self, fd: int, name: bytes, *, prefix: str, depth: int) -> None:
        shown = prefix + name.decode("utf-8", "backslashreplace")
        why = _unfit_name(name, prefix)
        if why:
            self.refuse(shown, why)
            return
        try:
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
        except OSError as fault:
            self.refuse(shown, f"it cannot be looked at: {fault.strerror}")
            return
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            self.refuse(shown, f"{_kind(mode)}: only regular files and folders are collected")
            return
        try:
            if stat.S_ISDIR(mode):
                self._subfolder(fd, name, shown=shown, depth=depth)
            else:
                self._file(fd, name, shown=shown)
        except Unopenable as fault:
            self.refuse(shown, f"it cannot be opened: {fault}")

    def _subfolder(self, fd: int, name: bytes, *, shown: str, depth: int) -> None:
        if depth >= _DEEPEST:
            self.refuse(shown, f"deeper than {_DEEPEST} folders")
            return
        with opened(fd, os.fsdecode(name), os.O_DIRECTORY) as sub_fd:
            self.folder(sub_fd, prefix=shown + "/", depth=depth + 1)

    def _file(self, fd: int, name: bytes, *, shown: str) -> None:
        with opened(fd, os.fsdecode(name), os.O_NONBLOCK) as file_fd:
            status = os.fstat(file_fd)
            if not stat.S_ISREG(status.st_mode):
                self.refuse(shown, "it changed while it was collected")
            elif self._fits(status.st_size):
                self._copy(file_fd, shown, status.st_size)

    def _fits(self, size_bytes: int) -> bool:
        """Check the limits by apparent size, so that a hole costs what it claims."""
        total = self.size_bytes + size_bytes
        if total > self.limits.output_mb * MIB:
            self.crossed = ("output_mb", self.limits.output_mb, round(total / MIB, 1))
        elif len(self.outputs) >= self.limits.output_files:
            self.crossed = ("output_files", self.limits.output_files, len(self.outputs) + 1)
        return self.crossed is None

    def _copy(self, file_fd: int, shown: str, size_bytes: int) -> None:
        target = self.destination / shown
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, written = hashlib.sha256(), 0
        with target.open("xb") as out:
            while written < size_bytes:
                chunk = os.read(file_fd, min(_CHUNK_BYTES, size_bytes - written))
                if not chunk:
                    break
                digest.update(chunk)
                out.write(chunk)
                written += len(chunk)
        self.size_bytes += written
        self.outputs.append(Output(path=shown, size_bytes=written, sha256=digest.hexdigest()))

    def refuse(self, shown: str, why: str) -> None:
        """Tell of what is not collected, if not too much has been told of."""
        self.refused += 1
        if len(self.refusals) < _MOST_REFUSALS:
            self.refusals.append(Refusal(path=shown, why=why))


def _unfit_name(name: bytes, prefix: str) -> str:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return "its name is not UTF-8"
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        return "its name has control characters"
    if len(prefix.encode()) + len(name) > _LONGEST_PATH_BYTES:
        return f"its path is longer than {_LONGEST_PATH_BYTES} bytes"
    return ""


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a character device",
        stat.S_IFBLK: "a block device",
    }
    return kinds.get(stat.S_IFMT(mode), "of unknown kind")
