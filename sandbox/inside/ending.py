"""Ends a run as Python ends a program, but for taking the interpreter apart.

Threads that are not daemons are waited for, functions of `atexit` run (those of multiprocessing
among them), and what was written to files that nobody closed is in them (Python's own shutdown,
Py_FinalizeEx). All of it is within the run's limits, and before its end is told.
"""

from __future__ import annotations

import _io
import atexit
import gc
import os
import sys

from .sigterm import Terminated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_STREAMS = (0, 1, 2)
_OWN_DESCRIPTORS = 4
"""The streams and the channel."""
_KIND, _REGULAR = 0o170000, 0o100000
"""S_IFMT and S_IFREG (inode(7)): whoever closes a stream gets its number for the next file."""


def finish() -> None:
    """Do what Python does at the end of a program; what fails there is printed, as it prints it."""
    threading = sys.modules.get("threading")
    if threading is not None:
        _quietly(vars(threading)["_shutdown"])
    if atexit._ncallbacks():  # pyright: ignore[reportPrivateUsage]
        _quietly(atexit._run_exitfuncs)  # pyright: ignore[reportPrivateUsage]
    if may_have_files():
        _close_files()


def may_have_files() -> bool:
    """Say whether a file may be open, by the descriptors: most runs have none left at their end.

    To look through all objects costs a fork 26 pages, which it copies for that (70 µs).
    """
    try:
        # Linux 6.2 and later tell how many there are; one of a listing is that of the listing.
        count = os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd")) - 1
        if count > _OWN_DESCRIPTORS:
            return True
        return any(os.fstat(fd).st_mode & _KIND == _REGULAR for fd in _STREAMS)
    except OSError:  # no /proc here, or a stream is closed
        return True


def _close_files() -> None:
    files = _files_left_open()
    for file in files:
        if type(file) is _io.TextIOWrapper:  # may lie over what is closed first
            _quietly(file.flush)
    for file in files:
        _quietly(file.close)


def _quietly(act: Callable[[], object]) -> None:
    try:
        act()
    except Terminated:
        raise
    except BaseException as fault:
        sys.excepthook(type(fault), fault, fault.__traceback__)


def _files_left_open() -> list[Any]:
    """Return open files, those around others first: a compressed one writes its end when closed.

    What a warm cell made before its forks is left alone (gc.freeze).
    """
    streams = {id(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)}
    streams |= {id(getattr(stream, "buffer", None)) for stream in (sys.stdout, sys.stderr)}
    found: list[Any] = [thing for thing in gc.get_objects() if _is_open_file(thing)]
    zipfile = sys.modules.get("zipfile")
    if zipfile is not None:
        kind = vars(zipfile)["ZipFile"]
        found += [thing for thing in gc.get_objects() if type(thing) is kind]
    found.sort(key=_depth)
    return [file for file in found if id(file) not in streams]


def _depth(file: Any) -> int:
    """Say how near it is to the file itself; what a library made of others is farthest."""
    kind: Any = type(file)  # pyright: ignore[reportUnknownVariableType]
    return _ORDER.get(kind, 0)


def _is_open_file(thing: Any) -> bool:
    """Say whether it is one, and let no code of a package's know (see immortal.py)."""
    kind: Any = type(thing)  # pyright: ignore[reportUnknownVariableType]
    if not issubclass(kind, _FILE) or kind is _io.FileIO:
        return False
    try:
        return not thing.closed and thing.writable()
    except BaseException:
        return False


_FILE: type = _io._IOBase  # pyright: ignore[reportPrivateUsage]
_ORDER: dict[type, int] = {
    _io.TextIOWrapper: 1,
    _io.BufferedWriter: 2,
    _io.BufferedRandom: 2,
}
"""Text over bytes over the file; what a package or the library made of them comes before."""
