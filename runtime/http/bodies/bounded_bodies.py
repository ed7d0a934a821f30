"""Bounds on what is sent: read whole and refused where it is too long, uploads aside.

JSON, forms and what no operation asked for; else a form of a gigabyte for the login page would be
kept in memory by whoever reads it. What is said to be too long is refused before it is read.
"""

from collections.abc import MutableMapping
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.faults.errors import TooLarge
from runtime.http.answers import problem_response
from runtime.problem_table import fault_of
from sandbox.limits import MIB

MOST_BYTES = MIB
STREAMED = frozenset({"/v1/packages", "/v1/jobs", "/v1/wheelhouse/wheels", "/v1/submissions"})
"""Where files are sent to: they are streams, and bounded where they are read."""


class BoundedBodies:
    """Reads bodies whole before anything else sees them, and refuses those too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if not _has_body(headers) or _is_upload(headers, path=scope["path"]):
            await self._app(scope, receive, send)
            return
        body = None if said_length(headers) > MOST_BYTES else await _read(receive)
        if body is None:
            fault = fault_of(TooLarge(f"This may have {MOST_BYTES} bytes", where="body"))
            await problem_response(fault, request=Request(scope))(scope, receive, send)
            return
        await self._app(scope, _Replay(body, receive=receive), send)


def refuse_too_long(request: Request, *, most_bytes: int) -> None:
    """Refuse a body by what it says of its length, before it is read. Raises TooLarge."""
    if said_length(request.headers) > most_bytes + MIB:  # a form is longer than its file
        raise TooLarge(
            f"What is sent is larger than {most_bytes // MIB} MiB",
            where="header: Content-Length",
            mend="send less, or raise the setting",
        )


def said_length(headers: Headers) -> int:
    """Return the length that a body is said to have, 0 for none."""
    said = headers.get("content-length", "")
    return int(said) if said.isdecimal() else 0


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or said_length(headers) > 0


def _is_upload(headers: Headers, *, path: str) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0].strip()
    is_lines = media_type.endswith("ndjson")
    return path in STREAMED and (is_lines or not media_type.endswith("json"))


async def _read(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


class _Replay:
    """Hands out a body that was read already, then what comes after it."""

    def __init__(self, body: bytes, *, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
