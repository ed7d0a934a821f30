"""Finds out who asks: by the home's socket, a token, or the cookie of a session.

Whoever is nobody gets no further than what is free, and is told nothing of what there is.
"""

import base64
import pwd
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.access.access import Access
from runtime.access.identification import local_admin
from runtime.access.operations import FREE_FOLDERS
from runtime.access.rates import Standing
from runtime.faults.errors import (
    RuntimeFault,
    TooManyRequests,
    TooManyWrongTokens,
    Unauthorized,
    WrongToken,
)
from runtime.faults.outages import outage_of
from runtime.http.answers import problem_response
from runtime.problem_table import fault_of
from runtime.values.access import NOBODY, VISITOR, Principal, Way

FREE = frozenset({"/healthz", "/readyz", "/login", "/login/oidc", "/login/callback"})
METRICS = "/metrics"
INDEX = "/simple/"
"""Where Basic is known too: pip and uv have no other way to show a token.

Elsewhere it is not, since browsers ask people for it, and send it with every request since.
"""


class Identify:
    """Puts the principal into the state of each request, or refuses it."""

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._access = access
        # Who is at the socket is one of two users. To look the name up reads a file, or asks a
        # server (nsswitch.conf(5)), and the event loop waits meanwhile.
        self._user = cache(_user)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            principal = await self._who(scope)
            if not principal.is_known and self._is_open(scope):
                principal = VISITOR
            standing = self._standing(principal, source=source_of(scope))
        except Exception as fault:
            if not isinstance(fault, RuntimeFault) and outage_of(fault) is None:
                raise
            await _refusal(fault, scope=scope)(scope, receive, send)
            return
        if not principal.is_known and not is_free(scope["path"]):
            await _no_entry(scope)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, _counted(send, standing=standing))

    async def _who(self, scope: Scope) -> Principal:
        headers = Headers(scope=scope)
        is_index = scope["path"].startswith(INDEX)
        shown = shown_token(headers.get("authorization", ""), is_basic_known=is_index)
        if shown is not None:
            return await self._holder_of(shown, source=source_of(scope))
        uid = scope.get("state", {}).get("peer_uid")
        if uid is not None:
            return local_admin(self._user(uid)) if uid in self._access.owners else NOBODY
        cookie = cookie_parser(headers.get("cookie", "")).get(cookie_name(scope))
        if cookie:
            return await self._access.identification.by_cookie(cookie) or NOBODY
        return NOBODY

    async def _holder_of(self, text: str, *, source: str) -> Principal:
        if found := await self._access.identification.by_token(text, source=source):
            return found
        raise wrong_token(self._access, source=source)

    def _is_open(self, scope: Scope) -> bool:
        """Return whether the admin lets anybody read this."""
        is_open = self._access.is_open_to_read
        if scope["path"] == METRICS:
            is_open = is_open or self._access.is_open_to_scrape
        return is_open and scope["method"] in {"GET", "HEAD"}

    def _standing(self, principal: Principal, *, source: str) -> Standing | None:
        """Count a request of who is known, the owner at home aside. Raises TooManyRequests."""
        if principal.way in {Way.NONE, Way.SOCKET}:
            return None
        name = f"{principal.name} {source}" if principal == VISITOR else principal.name
        standing = self._access.rates.count(name, most=principal.requests_per_minute)
        if standing.is_over:
            raise TooManyRequests(
                where=principal.name,
                mend="try again after the seconds in Retry-After; the setting is "
                "`requests_per_minute`",
                retry_after_s=standing.reset_s,
            )
        return standing


def wrong_token(access: Access, *, source: str) -> RuntimeFault:
    """Count a wrong token; return what its holder is told."""
    if wait_s := access.wrong_tokens.count(source):
        return TooManyWrongTokens(
            where="header: Authorization", mend="wait, and show the right one", retry_after_s=wait_s
        )
    return WrongToken(
        where="header: Authorization",
        mend="`fumehood token create` makes one; it may have expired or been revoked",
    )


def cookie_name(scope: Mapping[str, Any]) -> str:
    """Return the name of the cookie; browsers take `__Host-` over TLS only."""
    return "__Host-fumehood" if is_over_tls(scope) else "fumehood"


def is_over_tls(scope: Mapping[str, Any]) -> bool:
    """Return whether the caller speaks TLS: with us, or with a proxy that we believe."""
    return scope["scheme"] == "https"


def is_free(path: str) -> bool:
    """Return whether anybody may have what is at `path`."""
    return path in FREE or path.startswith(FREE_FOLDERS)


def shown_token(authorization: str, *, is_basic_known: bool) -> str | None:
    """Return the token in an Authorization field, None where there is no such field."""
    if not authorization:
        return None
    scheme, _, given = authorization.partition(" ")
    if not is_basic_known or scheme.lower() != "basic":
        return given.strip() if scheme.lower() == "bearer" else ""
    try:
        user, _, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except ValueError:
        return ""
    return password or user


def source_of(scope: Mapping[str, Any]) -> str:
    """Return the address that a request comes from; `socket` for the home's own."""
    client = scope.get("client")
    return client[0] if client else "socket"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"


def _no_entry(scope: Scope) -> Response:
    """Send a browser to the login page, and tell a program what is missing."""
    wants_page = "text/html" in Headers(scope=scope).get("accept", "")
    path = scope["path"]
    if scope["method"] in {"GET", "HEAD"} and wants_page and not path.startswith("/v1/"):
        query = scope["query_string"].decode("latin-1")
        return RedirectResponse(
            f"/login?next={quote(path + ('?' + query if query else ''), safe='')}", status_code=303
        )
    return _refusal(
        Unauthorized(
            where="header: Authorization",
            mend="send `Authorization: Bearer TOKEN`; the home's socket needs none of its owner",
        ),
        scope=scope,
    )


def _refusal(fault: Exception, *, scope: Scope) -> Response:
    told = fault_of(fault)
    scheme = "Basic" if scope["path"].startswith(INDEX) else "Bearer"
    challenge = {"WWW-Authenticate": f'{scheme} realm="fumehood"'}
    headers = challenge if told.answer.status == 401 else {}
    return problem_response(told, request=Request(scope), headers=headers)


def _counted(send: Send, *, standing: Standing | None) -> Send:
    if standing is None:
        return send

    async def send_with_limits(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(standing.headers())
        await send(message)

    return send_with_limits
