"""Lets pages of other origins ask, where the admin named them (CORS, the Fetch standard).

Only with a token of their own: never with the cookie of a session, so no page acts in the name of
who is logged in here.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = "GET, HEAD, POST, PUT, DELETE"
FIELDS = "Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, Range, X-Request-Id"
SHOWN = "ETag, Link, Location, RateLimit, RateLimit-Policy, Repr-Digest, Retry-After, X-Request-Id"
KEPT_S = 600


class OtherOrigins:
    """Answers the questions of browsers whether a page may ask, and lets it read what it asked."""

    def __init__(self, app: ASGIApp, *, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin", "")
        if origin not in self._origins:
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _allowance(origin)(scope, receive, send)
            return

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent["access-control-allow-origin"] = origin
                sent["access-control-expose-headers"] = SHOWN
                sent.add_vary_header("Origin")
            await send(message)

        await self._app(scope, receive, send_readable)


def _allowance(origin: str) -> Response:
    fields = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": FIELDS,
        "Access-Control-Max-Age": str(KEPT_S),
        "Vary": "Origin",
    }
    return Response(status_code=204, headers=fields)
