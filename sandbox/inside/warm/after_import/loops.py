"""What an event loop holds open that an import made (asyncio.new_event_loop), had anew by forks.

A pair of sockets by which it wakes itself up, and a descriptor by which the kernel tells of events
(epoll(7)). A socket whose other end is anybody else's stays, and the version runs cold for it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_POLLS = "anon_inode:[eventpoll]"
_CLOEXEC = os.O_CLOEXEC
_MOST_SOCKETS = 64
_SIGNALLED = 0x18
"""EPOLLERR and EPOLLHUP, which the kernel adds to what is asked for (epoll_ctl(2))."""


class Loops:
    """Pairs of sockets and polls; a poll only if all that it watches is there in a fork."""

    def __init__(self) -> None:
        self._socket, self._select = sys.modules.get("_socket"), sys.modules.get("select")
        self._sockets: list[tuple[int, int]] = []
        self._polls: list[tuple[int, int, list[tuple[int, int]]]] = []
        self._pairs: list[tuple[tuple[int, int], tuple[int, int], int]] = []

    @property
    def numbers(self) -> list[int]:
        """Return the descriptors that are to be closed, and had again."""
        ends = [end[0] for pair in self._pairs for end in pair[:2]]
        return ends + [poll[0] for poll in self._polls]

    def note(self, number: int, flags: int) -> None:
        """Note a descriptor, if it is of this kind."""
        target = os.readlink("/proc/self/fd/%d" % (number,))
        if target == _POLLS and self._select is not None:
            self._polls.append((number, flags, _watched(number)))
        elif target.startswith("socket:") and self._socket is not None:
            self._sockets.append((number, flags))

    def choose(self, others: set[int]) -> None:
        """Keep the pairs, and the polls that watch nothing but these and `others`."""
        left = [(one, self._kind(one[0])) for one in self._sockets[:_MOST_SOCKETS]]
        while left:
            first, kind = left.pop()
            alike = [one for one, other_kind in left if kind and other_kind == kind]
            other = self._other_end(first, alike)
            if other is not None:
                left.remove((other, kind))
                self._pairs.append((first, other, kind))
        there = others | set(self.numbers)
        self._polls = [poll for poll in self._polls if {w[0] for w in poll[2]} <= there]

    def put_back_sockets(self, aside: Callable[[int], int], put: Callable[..., None]) -> None:
        """Have pairs again, in a fork. Raises OSError."""
        for first, other, kind in self._pairs:
            made: Any = self._socket.socketpair(1, kind)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
            ends = [aside(end.detach()) for end in made]
            for end, (number, flags) in zip(ends, (first, other)):  # noqa: B905 – not in 3.9
                put(end, number, flags)

    def put_back_polls(self, aside: Callable[[int], int], put: Callable[..., None]) -> None:
        """Have polls again, when all that they watch is there. Raises OSError."""
        for number, flags, watched in self._polls:
            made: Any = self._select.epoll()  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
            for there, events in watched:
                made.register(there, events)
            opened = aside(os.dup(made.fileno()))
            made.close()
            put(opened, number, flags)

    def _kind(self, number: int) -> int:
        """Return the type of a connected socket of the family UNIX without a name, or 0."""
        module: Any = self._socket
        end = module.socket(fileno=number)
        try:
            if end.family != 1 or end.getsockname() or end.getpeername():
                return 0
            return int(end.type)
        except OSError:  # not connected
            return 0
        finally:
            end.detach()

    def _other_end(
        self, first: tuple[int, int], candidates: list[tuple[int, int]]
    ) -> tuple[int, int] | None:
        """Return the one out of which comes what is sent to the first; all are empty before."""
        module: Any = self._socket
        ends = [module.socket(fileno=one[0]) for one in (first, *candidates)]
        try:
            if any(_has_content(end, module) for end in ends):
                return None
            ends[0].send(b"\0", module.MSG_DONTWAIT)
            for end, one in zip(ends[1:], candidates):  # noqa: B905 – not in 3.9
                if _has_content(end, module):
                    return one if end.recv(1) == b"\0" else None
        except OSError:
            return None
        finally:
            for end in ends:
                end.detach()
        return None


def _has_content(end: Any, module: Any) -> bool:
    try:
        return bool(end.recv(1, module.MSG_PEEK | module.MSG_DONTWAIT)) or True
    except BlockingIOError:
        return False


def _watched(number: int) -> list[tuple[int, int]]:
    """Return what a poll watches, and for which events (proc_pid_fdinfo(5)).

    One that watches something under another number than its own watches -1, which nobody has.
    """
    found: list[tuple[int, int]] = []
    with open("/proc/self/fdinfo/%d" % (number,)) as info:
        for line in info:
            words = line.split()
            if words[:1] == ["tfd:"]:
                told, events, data = int(words[1]), int(words[3], 16), int(words[5], 16)
                is_plain = data & 0xFFFFFFFF == told
                found.append((told if is_plain else -1, events & ~_SIGNALLED))
    return found
