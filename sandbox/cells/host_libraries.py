"""Which of the host's libraries a process has mapped, by what the kernel says of it.

A cell shows the host's library folders, so two workers may run one version on other code: the
artifact says on which. Each file is hashed once for as long as it is the same one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sandbox.command import HostLibrary

_FOLDERS = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/lib32/", "/usr/lib32/")
_MOST = 200
_MOST_MAPS_BYTES = 2 << 20
"""Of a list that a package can lengthen; torch has half a megabyte of it."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """Libraries that a process can execute, 200 at most, and how many more there are."""

    libraries: tuple[HostLibrary, ...] = ()
    dropped: int = 0


NOTHING_MAPPED = Mapped()


def mapped_by(pid: int) -> Mapped:
    """Return the libraries of the host that a process can execute."""
    return hashed(files_mapped(pid))


def files_mapped(pid: int) -> list[tuple[str, int]]:
    """Return path and inode of every one, as the kernel tells it now (proc_pid_maps(5)).

    A path is that of the cell, which sees these folders where the host has them.
    """
    try:
        with Path(f"/proc/{pid}/maps").open("rb") as maps:
            lines = maps.read(_MOST_MAPS_BYTES).decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    found = {_file(line) for line in lines}
    return sorted(file for file in found if file is not None)


def hashed(files: Sequence[tuple[str, int]]) -> Mapped:
    """Return the first of them with their digests, but for a file that is another one by now.

    It takes seconds where a package maps much: not while that goes on, watched by nobody.
    """
    libraries = tuple(library for file in files[:_MOST] if (library := _hashed(*file)) is not None)
    return Mapped(libraries, len(files) - len(libraries))


def _file(line: str) -> tuple[str, int] | None:
    """Return path and inode of a mapped library, or None for what is none of the host's."""
    words = line.split(maxsplit=5)
    if len(words) < 6 or "x" not in words[1] or not words[5].startswith(_FOLDERS):
        return None
    return words[5], int(words[4])


def _hashed(path: str, inode: int) -> HostLibrary | None:
    try:
        status = Path(path).stat()
        if status.st_ino != inode:
            return None
        return _read(path, inode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    except OSError:
        return None


@lru_cache(maxsize=1024)
def _read(path: str, inode: int, size: int, mtime_ns: int, ctime_ns: int) -> HostLibrary:
    """Hash a file; what else it is told is what makes it the same file (stat(2))."""
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return HostLibrary(path=path, sha256=f"sha256:{digest}")
