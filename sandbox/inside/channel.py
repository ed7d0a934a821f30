"""The one way out of a cell: length-prefixed JSON over an inherited socket.

A frame is a four-byte big-endian length and that many bytes of UTF-8 JSON. The worker on
the other end bounds and distrusts every field; nothing here is a wall.
"""

from __future__ import annotations

import array
import json
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_LENGTH = struct.Struct(">I")

# Bound at import: package code that patches the json module later does not change the runner.
_dumps = json.dumps
_loads = json.loads


class Channel:
    """Frames in and out over `sock`, a connected stream socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._sock.fileno()

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Send one message, with descriptors beside its first byte if there are any."""
        self.send_bytes(encode(message), fds)

    def send_bytes(self, body: bytes, fds: Sequence[int] = ()) -> None:
        """Send a message that `encode` made."""
        frame = _LENGTH.pack(len(body)) + body
        if fds:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            sent = self._sock.sendmsg([frame], rights)
            frame = frame[sent:]
        self._sock.sendall(frame)

    def receive(self) -> dict[str, Any] | None:
        """Return the next message, or None at the end of the stream."""
        head = self._exactly(_LENGTH.size)
        if head is None:
            return None
        body = self._exactly(_LENGTH.unpack(head)[0])
        return None if body is None else _loads(body)

    def receive_with_fds(self, count: int) -> tuple[dict[str, Any] | None, tuple[int, ...]]:
        """Return the next message and the `count` descriptors that came with it."""
        space = socket.CMSG_SPACE(count * 4)
        head, ancillary, _flags, _address = self._sock.recvmsg(_LENGTH.size, space)
        if not head:
            return None, ()
        fds = array.array("i")
        for _level, _kind, body in ancillary:
            fds.frombytes(body[: len(body) - len(body) % fds.itemsize])
        head += self._exactly(_LENGTH.size - len(head)) or b""
        return _loads(self._exactly(_LENGTH.unpack(head)[0]) or b"null"), tuple(fds)

    def _exactly(self, count: int) -> bytes | None:
        chunks: list[bytes] = []
        while count:
            chunk = self._sock.recv(count)
            if not chunk:
                return None
            chunks.append(chunk)
            count -= len(chunk)
        return b"".join(chunks)


def encode(message: object) -> bytes:
    """Return `message` as JSON bytes; NaN, sets and other foreigners raise (RFC 8259)."""
    return _dumps(message, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogateescape"
    )
