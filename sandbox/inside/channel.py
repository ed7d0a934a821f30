"""The one way out of a cell: length-prefixed JSON over an inherited socket.

A frame is a four-byte big-endian length and that many bytes: UTF-8 JSON on the way out,
marshal (version 2) on the way in. The worker on the other end bounds and distrusts every
field; nothing here is a wall.

Built-in modules only, and what json is made of: importing json, socket and struct would take as
long as the rest of a cold start (11 of 29 ms, measured), since they bring re, enum and selectors
along.
"""

from __future__ import annotations

import _json
import marshal
import os
import sys

from .kernel import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .kernel import scm_rights

LENGTH_BYTES = 4
_MSG_PEEK = 2
DEEPEST = 60
"""How deep a value may be nested; the worker takes a little more, with the message around it."""
MOST_DIGITS = 308
"""Of a whole number: as many as the largest float has, since many readers of JSON make it one."""
_BEYOND = 10**MOST_DIGITS
_AS_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_MANY_DIGITS = b"0" * (MOST_DIGITS + 1)
_MANY = 50_000
"""Of marks that stand in texts too: fewer cannot be more values than are taken."""
# Bound at import: package code that patches modules later does not change the runner.
_loads = marshal.loads


def plain(value: Any) -> object:
    """Return what stands in JSON for a value that is none; TypeError if there is no rule for it.

    NumPy's scalars are numbers, dates and times as ISO 8601 writes them, Decimal, UUID and paths
    their text, an enum its value, a dataclass and a pydantic model the object of its fields.
    """
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
    module, name = kind.__module__.partition(".")[0], kind.__name__
    if module == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    if module == "datetime" and hasattr(kind, "isoformat"):
        return value.isoformat()
    if (module, name) in _AS_TEXT or (hasattr(kind, "__fspath__") and module == "pathlib"):
        return str(value)
    if hasattr(kind, "__dataclass_fields__"):
        return {field: getattr(value, field) for field in kind.__dataclass_fields__}
    if hasattr(kind, "model_dump") and hasattr(kind, "model_fields"):
        return value.model_dump(mode="json")
    if "enum" in sys.modules and isinstance(value, sys.modules["enum"].Enum):
        return value.value
    raise TypeError("a value of type %s" % (name,))


_AS_TEXT = {("decimal", "Decimal"), ("uuid", "UUID")}


class TooManyError(ValueError):
    """There are more values than the worker reads; `args` are how many, and how many may be."""

    def __str__(self) -> str:
        """Say what to do."""
        return "%d values (at most %d): write them to a file in output_dir" % self.args


class Channel:
    """Frames in and out over the connected stream socket with descriptor `fd`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def close(self) -> None:
        """Close the socket."""
        os.close(self._fd)

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._fd

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self.send_frame(framed(message))

    def send_frame(self, frame: bytes) -> None:
        """Send what `framed` returned."""
        while frame:
            frame = frame[os.write(self._fd, frame) :]

    def await_something(self) -> None:
        """Wait until there is something to receive, and leave it there (MSG_PEEK, recv(2))."""
        syscalls.do("recvfrom", self._fd, bytes(1), 1, _MSG_PEEK, None, None)

    def receive(self) -> dict[str, Any] | None:
        """Return the next message, or None at the end of the stream."""
        return self._message(b"")

    def wait_for_end(self) -> None:
        """Wait until nobody listens any more: the worker looks at what this process has mapped."""
        try:
            while os.read(self._fd, 4096):
                pass
        except OSError:  # a package has closed or changed it, which is its own affair
            return

    def receive_with_fds(
        self, inbox: scm_rights.Inbox
    ) -> tuple[dict[str, Any] | None, tuple[int, ...]]:
        """Return the next message, and the descriptors beside its first byte.

        `inbox` has room for its length: what came beside the one after it would come too.
        """
        begun, fds = inbox.receive(self._fd)
        return (self._message(begun) if begun else None), fds

    def _message(self, begun: bytes) -> dict[str, Any] | None:
        """Return the message of which this much is here; None if the rest does not come."""
        frame = self._up_to(LENGTH_BYTES, begun)
        if frame is not None:
            length = int.from_bytes(frame[:LENGTH_BYTES], "big")
            frame = self._up_to(LENGTH_BYTES + length, frame)
        return None if frame is None else _loads(frame[LENGTH_BYTES:])

    def _up_to(self, count: int, begun: bytes) -> bytes | None:
        chunks, missing = [begun], count - len(begun)
        while missing > 0:
            chunk = os.read(self._fd, missing)
            if not chunk:
                return None
            chunks.append(chunk)
            missing -= len(chunk)
        return b"".join(chunks)


def framed(message: dict[str, Any]) -> bytes:
    """Return one message as it goes out."""
    body = _as_json(message).encode("utf-8", "replace")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def encoded_size(value: object) -> int:
    """Return how many bytes `value` takes as JSON; TypeError or ValueError if it is none.

    NaN, sets, circles and lone surrogates are not JSON (RFC 8259).
    """
    body = _as_json(value).encode("utf-8")
    refuse_extremes(value, body)
    return len(body)


def refuse_extremes(value: object, body: bytes) -> None:
    """Raise ValueError for what the worker does not take: too many, too deep, too long a number.

    `body` is `value` as JSON: counting in it costs next to nothing, and spares most a walk.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") > _MANY:
        from .counting import MOST_VALUES, count_values  # noqa: PLC0415 - hardly ever needed

        count = count_values(body)
        if count > MOST_VALUES:
            raise TooManyError(count, MOST_VALUES)
    deep = body.count(b"[") + body.count(b"{") > DEEPEST
    if not deep and _MANY_DIGITS not in body.translate(_AS_ZEROS):
        return
    depth, level = 0, [value]
    while level:
        depth += 1
        if depth > DEEPEST + 1:
            raise ValueError("it is nested deeper than %d" % (DEEPEST,))
        for item in level:
            if isinstance(item, int) and not -_BEYOND < item < _BEYOND:
                raise ValueError("a whole number of more than %d digits" % (MOST_DIGITS,))
        level = [child for item in level for child in _children(item)]


def _children(item: Any) -> Iterable[Any]:
    if issubclass(type(item), dict):
        return item.values()
    return item if issubclass(type(item), (list, tuple)) else ()


def _as_json(value: object) -> str:
    """Return `value` as JSON text, by the C encoder that json itself uses."""
    encoder = _json.make_encoder(
        {}, plain, _json.encode_basestring, None, ":", ",", False, False, False
    )
    return "".join(encoder(value, 0))
