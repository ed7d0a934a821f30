"""The one way out of a cell: length-prefixed JSON over an inherited socket.

A frame is a four-byte big-endian length and that many bytes: UTF-8 JSON on the way out,
marshal (version 2) on the way in. The worker on the other end bounds and distrusts every
field; nothing here is a wall.

Built-in modules only: importing json, socket and struct would take as long as the rest of a
cold start (11 of 29 ms, measured), since they bring re, enum and selectors along.
"""

from __future__ import annotations

import _json
import _socket
import marshal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_LENGTH_BYTES = 4
# Bound at import: package code that patches modules later does not change the runner.
_loads = marshal.loads


def _refuse(value: object) -> None:
    raise TypeError("a value of type %s" % (type(value).__name__,))


class Channel:
    """Frames in and out over the connected stream socket with descriptor `fd`."""

    def __init__(self, fd: int) -> None:
        self._sock = _socket.socket(fileno=fd)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._sock.fileno()

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Send one message, with descriptors beside its first byte if there are any."""
        frame = framed(message)
        if fds:
            packed = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)]
            sent = self._sock.sendmsg([frame], rights)
            frame = frame[sent:]
        self.send_frame(frame)

    def send_frame(self, frame: bytes) -> None:
        """Send what `framed` returned."""
        self._sock.sendall(frame)

    def receive(self) -> dict[str, Any] | None:
        """Return the next message, or None at the end of the stream."""
        head = self._exactly(_LENGTH_BYTES)
        body = self._exactly(int.from_bytes(head, "big")) if head else None
        return None if body is None else _loads(body)

    def receive_with_fds(self, count: int) -> tuple[dict[str, Any] | None, tuple[int, ...]]:
        """Return the next message and the `count` descriptors that came with it."""
        space = _socket.CMSG_SPACE(count * 4)
        head, ancillary, _flags, _address = self._sock.recvmsg(_LENGTH_BYTES, space)
        fds = [
            int.from_bytes(body[at : at + 4], sys.byteorder)
            for _level, _kind, body in ancillary
            for at in range(0, len(body) - 3, 4)
        ]
        if head:
            head += self._exactly(_LENGTH_BYTES - len(head)) or b""
        body = self._exactly(int.from_bytes(head, "big")) if head else None
        return (None if body is None else _loads(body)), tuple(fds)

    def _exactly(self, count: int) -> bytes | None:
        chunks: list[bytes] = []
        while count:
            chunk = self._sock.recv(count)
            if not chunk:
                return None
            chunks.append(chunk)
            count -= len(chunk)
        return b"".join(chunks)


def framed(message: dict[str, Any]) -> bytes:
    """Return one message as it goes out."""
    body = _as_json(message).encode("utf-8", "replace")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def encoded_size(value: object) -> int:
    """Return how many bytes `value` takes as JSON; TypeError or ValueError if it is none.

    NaN, sets, circles and lone surrogates are not JSON (RFC 8259).
    """
    return len(_as_json(value).encode("utf-8"))


def _as_json(value: object) -> str:
    """Return `value` as JSON text, by the C encoder that json itself uses."""
    encoder = _json.make_encoder(
        {}, _refuse, _json.encode_basestring, None, ":", ",", False, False, False
    )
    return "".join(encoder(value, 0))
