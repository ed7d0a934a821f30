"""Finds in a failure which wall a run ran into: told with the error, and believed by nobody.

Imported when a run has failed, and only then. The kernel says EACCES or EPERM for many things: what
was wanted is read from the path and from the line of code that the failure came from.
"""

from __future__ import annotations

import os
import stat

from . import wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

_EPERM, _EACCES, _EROFS, _ENOSYS, _EADDRNOTAVAIL, _ENETUNREACH = 1, 13, 30, 38, 99, 101
_UNBINDABLE = (_EPERM, _EACCES, _EADDRNOTAVAIL)
_STARTS = ("_execute_child", "execv", "execve", "_spawnvef", "posix_spawn", "_posix_spawn")
_LISTENS = (".bind(", ".listen(")
_CONNECTS = (".connect(", ".connect_ex(", ".sendto(", "socket.socket")
_SHARES = ("_multiprocessing.SemLock(", "_posixshmem.shm_open(")
_BIND_SAID = "ailed to bind to address"
"""gRPC raises a RuntimeError for it, without a number (docs/compatibility.md has the text)."""
_BIND_SAID_BY_ASYNCIO = ("to bind on address", "could not bind on any address")
"""asyncio (create_server, CPython 3.12.1) has a number, but raises where no line tells for what:
that of bind(2), or EADDRNOTAVAIL of its own where it got no socket."""
_SERVERS = ("/socketserver.py:", "/multiprocessing/connection.py:__init__", ":create_server")
"""By file and function: where the standard library makes sockets to listen at."""


def wall(fault: BaseException) -> str:
    """Return which wall it was, or nothing.

    One of read-only, execute, sight, shared, listen, network and call.
    """
    try:
        for one in wanted.chain(fault):
            found = _wall_of(one)
            if found:
                return found
    except BaseException:  # whatever package code has made of its exceptions
        return ""
    return ""


def _wall_of(fault: BaseException) -> str:
    if not isinstance(fault, OSError):
        return "listen" if _BIND_SAID in str(fault) else ""
    if fault.errno == _EROFS:
        return "read-only"
    if fault.errno == _ENETUNREACH:
        return "network"
    if fault.errno in _UNBINDABLE and _has(str(fault), _BIND_SAID_BY_ASYNCIO):
        return "listen"
    name, line = _origin(fault.__traceback__)
    is_start = name in _STARTS
    is_own_word = line.startswith("raise ") and not is_start
    if fault.errno not in {_EPERM, _EACCES, _ENOSYS} or is_own_word:
        return ""
    path: Any = getattr(fault, "filename", None)
    if path is not None:
        return _wall_at(os.fsdecode(path), is_start=is_start)
    if _has(line, _SHARES):
        return "shared"
    if _has(line, _LISTENS) or (_has(line, _CONNECTS) and _is_of_a_server(fault)):
        return "listen"
    return "network" if _has(line, _CONNECTS) else "call"


def _is_of_a_server(fault: BaseException) -> bool:
    """Say whether it was a server that wanted the socket."""
    codes = (frame.f_code for frame in wanted.frames(fault))
    return any(_has("%s:%s" % (code.co_filename, code.co_name), _SERVERS) for code in codes)


def _wall_at(path: str, *, is_start: bool) -> str:
    """Return the wall around a place, by what can be done there now."""
    is_own = os.access(path, os.W_OK) or os.access(os.path.dirname(path) or ".", os.W_OK)
    if is_start:
        return "execute" if is_own and os.path.isfile(path) else ""
    if is_own:
        return ""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            os.listdir(path)
        else:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except FileNotFoundError:
        return "read-only"
    except OSError:
        return "sight"
    return "read-only"


def _origin(tb: TracebackType | None) -> tuple[str, str]:
    """Return the function that the failure came from, and its line."""
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    if tb is None:
        return "", ""
    code = tb.tb_frame.f_code
    line = __import__("linecache").getline(code.co_filename, tb.tb_lineno)
    return code.co_name, line.strip()


def _has(line: str, words: tuple[str, ...]) -> bool:
    return any(word in line for word in words)
