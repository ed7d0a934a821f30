"""Messages with descriptors beside them, laid out as the kernel takes them (cmsg(3)).

The module `_socket` can do it too, and takes a quarter of a millisecond to load.
"""

from __future__ import annotations

import sys

from . import syscalls

_SOL_SOCKET, _SCM_RIGHTS, _SO_RCVTIMEO = 1, 1, 20
_AF_UNIX, _SOCK_STREAM, _SOCK_CLOEXEC, MSG_CMSG_CLOEXEC = 1, 1, 0o2000000, 0x40000000
_HEAD_BYTES, _FD_BYTES = 16, 4
_STREAMS = 4
_HEADER_BYTES, _CONTROL_AT = 56, 40
"""How long struct msghdr is, and where it says how much came beside a message."""


class Outbox:
    """Room for messages that take four descriptors along, made once (sendmsg(2))."""

    def __init__(self, *, most_bytes: int) -> None:
        self._body = syscalls.Room(most_bytes)
        self._control = syscalls.Room(_HEAD_BYTES + 2 * 8)
        self._vector, self._header = syscalls.Room(16), syscalls.Room(_HEADER_BYTES)
        told = _HEAD_BYTES + _STREAMS * _FD_BYTES
        # Its length is a word in two halves, the low one first: cells run on x86-64 and aarch64.
        self._control.numbers[:4] = _as_ints((told, 0, _SOL_SOCKET, _SCM_RIGHTS))
        body, vector, control = map(
            syscalls.address_of, (self._body.place, self._vector.place, self._control.place)
        )
        self._words = memoryview(self._vector.here).cast("q")
        self._words[0] = body
        self._header.here[:] = syscalls.words(0, 0, vector, 1, control, told, 0)

    def send(self, fd: int, body: bytes, fds: tuple[int, ...]) -> None:
        """Send both. Raises OSError."""
        self._body.here[: len(body)] = body
        self._words[1] = len(body)
        self._control.numbers[4 : 4 + _STREAMS] = _as_ints(fds)
        syscalls.do_at_once("sendmsg", fd, self._header.pointer, 0)


class Inbox:
    """Room for messages that bring descriptors, made once (recvmsg(2))."""

    def __init__(self, *, most_bytes: int, most_fds: int) -> None:
        self._body = syscalls.Room(most_bytes)
        # What comes after the head is padded to words (CMSG_SPACE, cmsg(3)).
        self._control = syscalls.Room(_HEAD_BYTES + -(-most_fds * _FD_BYTES // 8) * 8)
        self._header = syscalls.Room(_HEADER_BYTES)
        body, control = self._body.place, self._control.place
        self._vector = syscalls.at_an_address(syscalls.words(syscalls.address_of(body), most_bytes))
        self._fresh = _header(self._vector, control, len(self._control.here))

    @property
    def packed(self) -> object:
        """For a call of recvmsg(2) that is made otherwise."""
        self._header.here[:] = self._fresh
        return self._header.pointer

    def receive(self, fd: int) -> tuple[bytes, tuple[int, ...]]:
        """Return what there is, and the descriptors beside it; no bytes at the end."""
        self._header.here[:] = self._fresh  # the kernel writes the lengths that it found into it
        count = syscalls.do_at_once("recvmsg", fd, self._header.pointer, MSG_CMSG_CLOEXEC)
        has_fds = self._header.numbers[_CONTROL_AT // 4] > 0
        end = self._control.numbers[0] // _FD_BYTES if has_fds else 0
        fds = [self._control.numbers[at] for at in range(_HEAD_BYTES // _FD_BYTES, end)]
        return bytes(self._body.here[:count]), tuple(fds)


def be_patient(fd: int, timeout_us: int) -> None:
    """Let whoever receives there wait so long at most: BlockingIOError (SO_RCVTIMEO, socket(7))."""
    timeout = syscalls.words(*divmod(timeout_us, 1_000_000))
    syscalls.do("setsockopt", fd, _SOL_SOCKET, _SO_RCVTIMEO, timeout, len(timeout))


def pair() -> tuple[int, int]:
    """Return the two ends of a connected stream socket (socketpair(2))."""
    room = syscalls.Room(2 * _FD_BYTES)
    syscalls.do("socketpair", _AF_UNIX, _SOCK_STREAM | _SOCK_CLOEXEC, 0, room.pointer)
    return room.numbers[0], room.numbers[1]


def _as_ints(numbers: tuple[int, ...]) -> memoryview:
    return memoryview(b"".join(number.to_bytes(4, sys.byteorder) for number in numbers)).cast("i")


def _header(vector: object, control: object, control_bytes: int) -> bytes:
    """Return a struct msghdr without an address, for one vector (sendmsg(2))."""
    places = (syscalls.address_of(vector), 1, syscalls.address_of(control), control_bytes)
    return syscalls.words(0, 0, *places, 0)
