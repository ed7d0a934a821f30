"""Opens names below a folder that package code may change at any moment, and stays below it.

openat2(2) with RESOLVE_BENEATH | NO_SYMLINKS | NO_MAGICLINKS: no link, device or FIFO is
followed, however late it is put there.
"""

import ctypes
import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_SYS_OPENAT2 = 437
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08


class Unopenable(OSError):
    """The cell left it without permission to read it, put a link there, or it is gone."""


class _OpenHow(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


def opening(folder_fd: int, path: str, flags: int) -> int:
    """Return a descriptor for reading `path` below the folder. Raises Unopenable."""
    how = _OpenHow(
        flags=os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags,
        mode=0,
        resolve=_BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS,
    )
    fd = _libc().syscall(
        _SYS_OPENAT2, folder_fd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)
    )
    if fd < 0:
        raise Unopenable(os.strerror(ctypes.get_errno()))
    return int(fd)


@contextmanager
def opened(folder_fd: int, path: str, flags: int) -> Generator[int]:
    """Open `path` below the folder for a while. Raises Unopenable."""
    fd = opening(folder_fd, path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def folder(within: Path, path: str) -> int:
    """Return a descriptor of the folder `path` below `within`, which only we can change.

    Raises OSError.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    within_fd = os.open(within, flags)
    try:
        return opening(within_fd, path, os.O_DIRECTORY)
    finally:
        os.close(within_fd)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
