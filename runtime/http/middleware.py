"""What every response carries: a request id, and headers that keep pages in their place."""

import re

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.faults.errors import CrossSite
from runtime.http.answers import problem_response
from runtime.problem_table import fault_of
from runtime.values.ids import new_id

REQUEST_ID_MOST = 128
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
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
OVER_TLS = {**SECURITY_HEADERS, "strict-transport-security": "max-age=31536000"}


class RequestIds:
    """Gives each request an id (the caller's `X-Request-Id`, if it sends one) and headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["traceparent"] = trace = _traceparent(Headers(scope=scope))

        sent = OVER_TLS if scope["scheme"] == "https" else SECURITY_HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if gone := state.get("deprecation"):
                    headers.update(gone.fields())
                if trace:
                    headers["traceparent"] = trace
                for name, value in sent.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _request_id(headers: Headers) -> str:
    sent = headers.get("x-request-id", "")
    is_fit = 0 < len(sent) <= REQUEST_ID_MOST and sent.isascii() and sent.isprintable()
    return sent if is_fit else new_id()


def _traceparent(headers: Headers) -> str:
    """Return the trace that the caller is in (W3C Trace Context), empty for no right one."""
    sent = headers.get("traceparent", "")
    return sent if sent and TRACEPARENT.fullmatch(sent) else ""


class SameSite:
    """Refuses changes that a browser sends in the name of another site's page.

    Browsers say where a request comes from (Sec-Fetch-Site, else Origin); programs do not.
    """

    def __init__(self, app: ASGIApp, *, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        is_change = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        if is_change and self._is_foreign(Headers(scope=scope)):
            fault = fault_of(
                CrossSite(where="header: Origin", mend="use the appliance's own pages")
            )
            await problem_response(fault, request=Request(scope))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_foreign(self, headers: Headers) -> bool:
        """Return whether it is from another site; a page that was let in has no cookie to use."""
        origin = headers.get("origin")
        if origin in self._origins and "cookie" not in headers:
            return False
        if said := headers.get("sec-fetch-site"):
            return said not in {"same-origin", "none"}
        return origin is not None and origin.partition("://")[2] != headers.get("host")


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
