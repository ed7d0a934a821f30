"""Logging in at an OpenID provider: there with a state in a cookie, back onto a page of our own.

The cookie of the session is Strict, which no browser sends on a way that began at another site. So
what comes back from the provider ends here with a page, and that page leads on.
"""

import hmac
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from runtime.faults.errors import NotFound
from runtime.http.context import AccessOf
from runtime.http.entrance.identity import is_over_tls, source_of, wrong_token
from runtime.http.entrance.operations import page_operations
from runtime.http.pages.login import login_form, own_page, set_cookie
from runtime.http.pages.rendering import render

CALLBACK = "/login/callback"
STATE_S = 600
router = page_operations()


@router.get("/login/oidc")
async def go_to_provider(
    request: Request,
    access: AccessOf,
    next_: Annotated[str, Query(alias="next", max_length=2000)] = "/",
) -> Response:
    """Send the browser to the provider."""
    if access.oidc is None:
        raise NotFound("No OpenID provider is set", where="/login/oidc", mend="set `oidc.issuer`")
    host = request.headers.get("host", "localhost")  # one of our names: others got 421
    callback = f"{request.scope['scheme']}://{host}{CALLBACK}"
    state, place = await access.oidc.begin(callback=callback, after=own_page(next_))
    answer = RedirectResponse(place, status_code=303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        _cookie_name(request),
        state,
        max_age=STATE_S,
        path="/",
        secure=is_over_tls(request.scope),
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get(CALLBACK)
async def come_back(
    request: Request,
    access: AccessOf,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
) -> HTMLResponse:
    """Begin a session for whom the provider vouches, and show the page that leads on."""
    if access.oidc is None:
        raise NotFound("No OpenID provider is set", where=CALLBACK, mend="set `oidc.issuer`")
    kept = request.cookies.get(_cookie_name(request), "")
    is_ours = bool(state) and hmac.compare_digest(state.encode(), kept.encode())
    found = await access.oidc.finish(state=state, code=code) if is_ours and code else None
    source = source_of(request.scope)
    if found is None:
        told = "The provider does not vouch for you, or it took too long. Try again."
        return await login_form(
            request, code="", after="/", fault=wrong_token(access, source=source), told=told
        )
    principal, after = found
    agent = request.headers.get("user-agent", "")
    cookie = await access.login.begin_for(principal, source=source, agent=agent)
    shown = await render(request, "welcome.html", after=after, who=principal.name)
    shown.headers["cache-control"] = "no-store"
    shown.delete_cookie(
        _cookie_name(request), secure=is_over_tls(request.scope), httponly=True, samesite="lax"
    )
    set_cookie(request, shown, access=access, value=cookie)
    return shown


def _cookie_name(request: Request) -> str:
    return "__Host-fumehood-state" if is_over_tls(request.scope) else "fumehood-state"
