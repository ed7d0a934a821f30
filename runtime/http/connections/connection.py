"""One connection of the API: what it sends is read strictly, and not for ever.

httptools reads requests as RFC 9112 asks: it refuses bare LF, obs-fold and Transfer-Encoding
beside Content-Length, all of which h11 takes (measured, and a test holds both against it). What
it leaves to us is refused here: no Host or two, a coding but chunked, codings in HTTP/1.0, and
heads without an end.
"""

import asyncio
import json
import socket
import struct
from http import HTTPStatus
from typing import Any, cast

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from runtime.http.answers import MEDIA_TYPE
from runtime.http.connections.connection_table import HOME_SOCKET, PROXY_SOCKET, ConnectionTable
from runtime.problem_table import EXIT_USAGE, Answer, Fault
from runtime.values.ids import new_id
from wheelhouse.problem import Problem

HEAD_MOST_BYTES = 64 * 1024
HEADERS_MOST = 200
BODY_WINDOW_S = 10.0
WHAT = {
    400: ("malformed", "This is no request as HTTP has them (RFC 9112)"),
    408: ("too-slow", "The request did not come in its time"),
    414: ("too-large", "The address of the request is too long"),
    431: ("too-large", "The head of the request is too long"),
    501: ("malformed", "Only chunked is known as a transfer coding"),
    503: ("too-busy", "There are too many connections"),
    505: ("malformed", "Only HTTP/1.0 and HTTP/1.1 are spoken here"),
}


class Connection(HttpToolsProtocol):
    """A connection; made for each that is accepted. `is_proxy`: by the socket of a proxy."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        table: ConnectionTable,
        is_proxy: bool = False,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.address = HOME_SOCKET
        self._is_proxy = is_proxy
        self._table = table
        self._bounds = table.bounds
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._is_in_head = True
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Find room, or say that there is none."""
        super().connection_made(transport)
        if self._is_proxy:
            self.client = (PROXY_SOCKET, 0)
        self.address = self.client[0] if self.client else HOME_SOCKET
        if not self._is_proxy and (uid := _peer_uid(transport)) is not None:
            self.app_state["peer_uid"] = uid
        if self._table.enter(self):
            self._wait(self._bounds.head_s)
        else:
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room."""
        self._table.leave(self)
        self._stop()
        if self._stalled is not None:
            self._stalled.cancel()
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Hang up on who has asked for nothing yet."""
        self._refuse(408)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has become too long."""
        if self.transport.is_closing():
            return
        if self._is_in_head:
            if self._head_bytes > HEAD_MOST_BYTES:
                self._refuse(431)
                return
            self._head_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to count the head, and its time."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0
        self._wait(self._bounds.head_s)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field, unless there are too many."""
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MOST:
            self._refuse(431)

    def on_headers_complete(self) -> None:
        """Judge the head and hand the request on; what is left of it may not come too slowly."""
        self._is_in_head, self._head_bytes = False, 0
        if self.transport.is_closing() or self.parser is None:
            return
        if status := self._too_long() or _fault(
            self.headers, version=self.parser.get_http_version()
        ):
            self._refuse(status)
            return
        self._table.is_served(self)
        self._body_bytes = 0
        self._wait(BODY_WINDOW_S, is_body=True)
        super().on_headers_complete()

    def _too_long(self) -> int:
        """Return the status with which a head is refused that came too long at once; 0 for none."""
        if len(self.url) > HEAD_MOST_BYTES // 2:
            return 414
        length = sum(len(name) + len(value) for name, value in self.headers)
        return 431 if length > HEAD_MOST_BYTES else 0

    def on_body(self, body: bytes) -> None:
        """Count what comes."""
        if self.transport.is_closing():
            return
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait no more: it is our turn."""
        if self.transport.is_closing():
            return
        self._stop()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        if not self.pipeline:
            self._table.waits(self)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Give who does not read what it asked for so long to go on."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self._bounds.stalled_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer as everything else does."""
        self._refuse(400)

    def _wait(self, seconds: float, *, is_body: bool = False) -> None:
        self._stop()
        act = self._judge_speed if is_body else self._give_up
        self._timer = self.loop.call_later(seconds, act)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._refuse(408)

    def _judge_speed(self) -> None:
        """Hang up on a body that drips; while we do not read, its speed is ours."""
        least = self._bounds.body_least_bytes_s * BODY_WINDOW_S
        if self._body_bytes < least and not self.flow.read_paused:
            self._refuse(408)
            return
        self._body_bytes = 0
        self._wait(BODY_WINDOW_S, is_body=True)

    def _refuse(self, status: int) -> None:
        """Say why, if nothing has been said yet, and hang up."""
        self._stop()
        if self.transport.is_closing():
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)  # there is none at first
        if cycle is None or not cycle.response_started or cycle.response_complete:
            self.transport.write(_answer(status))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()


def _peer_uid(transport: asyncio.Transport) -> int | None:
    """Return the user at the other end of a unix socket, None for TCP (SO_PEERCRED, unix(7)).

    It is who connected, by the kernel's word; what it opened the socket as, it cannot choose.
    """
    peer: socket.socket = transport.get_extra_info("socket")
    if peer.family != socket.AF_UNIX:
        return None
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return uid


def _fault(headers: list[tuple[bytes, bytes]], *, version: str) -> int:
    """Return the status with which a head is refused; 0 for none (RFC 9112, 3.2 and 6.1)."""
    if version not in {"1.0", "1.1"}:
        return 505
    hosts = [value for name, value in headers if name == b"host"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if len(hosts) > 1 or (version != "1.0" and not hosts):
        return 400
    if codings and version == "1.0":
        return 400
    if codings and [value.strip().lower() for value in codings] != [b"chunked"]:
        return 501
    return 0


def _answer(status: int) -> bytes:
    code, what = WHAT[status]
    problem = Problem(code=code, what=what, where="request", mend="see /docs")
    answer = Answer(status=status, exit_code=EXIT_USAGE)
    fault = Fault(code=code, what=what, problems=(problem,), answer=answer)
    request_id = new_id()
    document = {**fault.to_document(instance=""), "request_id": request_id}
    body = json.dumps(document).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
        f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
