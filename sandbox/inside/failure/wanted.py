"""Finds in a failure which host a run wanted to reach: there is no network to reach it by.

Read from the frames of the standard library's socket.py, where every way out of Python passes;
nothing is watched while the run runs.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

_MOST_FAULTS, _MOST_FRAMES = 20, 200
_ASKING = ("getaddrinfo", "create_connection")
_UNREACHABLE = (101, 111, 113, 110, 99, 13, 1, 97)
"""ENETUNREACH, ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT, EADDRNOTAVAIL; EACCES (Landlock), EPERM and
EAFNOSUPPORT (seccomp)."""


def host(fault: BaseException) -> str:
    """Return `host:port`, as the run asked for it, or nothing where the failure is another."""
    socket = sys.modules.get("socket")
    if socket is None:
        return ""
    try:
        for one in chain(fault):
            if _is_about_a_network(one, socket):
                found = _asked_for(one)
                if found:
                    return found
    except BaseException:  # whatever package code has made of its exceptions
        return ""
    return ""


def chain(fault: BaseException | None) -> Iterator[BaseException]:
    """Yield the failure, what it came from, and what it holds as its reason (urllib)."""
    todo: list[Any] = [fault]
    seen: set[int] = set()
    while todo and len(seen) < _MOST_FAULTS:
        one = todo.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [one.__cause__, one.__context__, getattr(one, "reason", None)]


def _is_about_a_network(fault: BaseException, socket: Any) -> bool:
    if isinstance(fault, socket.gaierror):
        return True
    return isinstance(fault, OSError) and fault.errno in _UNREACHABLE


def _asked_for(fault: BaseException) -> str:
    for frame in frames(fault):
        code = frame.f_code
        if code.co_name in _ASKING and code.co_filename.endswith("/socket.py"):
            known = frame.f_locals
            place, port = known.get("host"), known.get("port")
            if place is None and isinstance(known.get("address"), tuple):
                place, port = known["address"][:2]
            return _shown(place, port)
    return ""


def frames(fault: BaseException) -> Iterator[FrameType]:
    """Yield the frames that it passed, the outermost first, and no more than a bound."""
    tb = fault.__traceback__
    for _ in range(_MOST_FRAMES):
        if tb is None:
            return
        yield tb.tb_frame
        tb = tb.tb_next


def _shown(place: Any, port: Any) -> str:
    if isinstance(place, bytes):
        place = place.decode("ascii", "replace")
    if not isinstance(place, str) or not place:
        return ""
    text = "%s:%s" % (place[:253], port) if isinstance(port, (int, str)) else place[:253]
    return "".join(char for char in text if char.isprintable())[:300]
