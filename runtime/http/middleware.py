"""What every response carries: a request id, and headers that keep pages in their place."""

from collections.abc import MutableMapping
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.errors import CrossSite, TooLarge
from runtime.http.answers import problem_response
from runtime.http.bodies import JSON_MOST_BYTES
from runtime.ids import new_id
from runtime.problem_table import fault_of

UPLOADS = frozenset({"/v1/jobs", "/v1/packages", "/v1/wheelhouse/wheels"})
"""Where bodies are read as they come, with bounds of their own."""
REQUEST_ID_MOST = 128
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
HSTS = {"strict-transport-security": "max-age=31536000"}


class RequestIds:
    """Gives each request an id (the caller's `X-Request-Id`, if it sends one) and headers."""

    def __init__(self, app: ASGIApp, *, is_tls: bool) -> None:
        self._app = app
        self._headers = SECURITY_HEADERS | (HSTS if is_tls else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _request_id(headers: Headers) -> str:
    sent = headers.get("x-request-id", "")
    is_fit = 0 < len(sent) <= REQUEST_ID_MOST and sent.isascii() and sent.isprintable()
    return sent if is_fit else new_id()


class SameSite:
    """Refuses changes that a browser sends in the name of another site's page.

    Browsers say where a request comes from (Sec-Fetch-Site, else Origin); programs do not.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        is_change = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        if is_change and _is_foreign(Headers(scope=scope)):
            fault = fault_of(
                CrossSite(where="header: Origin", mend="use the appliance's own pages")
            )
            await problem_response(fault, request=Request(scope))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_foreign(headers: Headers) -> bool:
    if said := headers.get("sec-fetch-site"):
        return said not in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


class BoundedBodies:
    """Reads bodies whole before anything else sees them, and refuses those too long.

    Whatever they say they are: FastAPI reads a body to its end before it looks at its type (600 MB
    of text/plain were 1.7 GB of memory). Uploads are streams, and bounded where they are read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not _has_body(scope) or _is_upload(scope):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            response = _too_large(scope)
            await response(scope, receive, send)
            return
        await self._app(scope, _Replay(body, receive=receive), send)


class Heads:
    """Answers HEAD as GET, without the content (RFC 9110, 9.3.2): one answer for both."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        is_begun = False

        async def send_head(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def receive_until_begun() -> Message:
            # A stream goes on until it hears that nobody listens.
            return {"type": "http.disconnect"} if is_begun else await receive()

        await self._app({**scope, "method": "GET"}, receive_until_begun, send_head)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _is_upload(scope: Scope) -> bool:
    return scope["method"] == "POST" and scope["path"] in UPLOADS


async def _read(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > JSON_MOST_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(scope: Scope) -> Response:
    fault = fault_of(TooLarge(f"A body may have {JSON_MOST_BYTES} bytes here", where="body"))
    return problem_response(fault, request=Request(scope))


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
