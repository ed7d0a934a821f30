"""Logging in and out: by a token, or by a link that is good once."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from runtime.access.access import Access
from runtime.faults.errors import RuntimeFault
from runtime.http.context import AccessOf, CallerOf, PrincipalOf, origin_of
from runtime.http.entrance.identity import cookie_name, is_over_tls, source_of, wrong_token
from runtime.http.entrance.operations import page_operations
from runtime.http.pages.rendering import render
from runtime.problem_table import fault_of

router = page_operations()
Short = Annotated[str, Form(max_length=500)]
NOT_GOOD = "This link was used, or its ten minutes are over. `fumehood login` prints another."


@router.get("/login")
async def show_login(
    request: Request,
    code: Annotated[str, Query(max_length=200)] = "",
    next_: Annotated[str, Query(alias="next", max_length=2000)] = "/",
) -> HTMLResponse:
    """Show the form that takes a token, or the code of a link."""
    return await login_form(request, code=code, after=next_)


@router.post("/login")
async def log_in(
    request: Request,
    access: AccessOf,
    *,
    token: Short = "",
    code: Short = "",
    next_: Annotated[str, Form(alias="next", max_length=2000)] = "/",
) -> Response:
    """Begin a session, then go where one wanted to."""
    source, agent = source_of(request.scope), request.headers.get("user-agent", "")
    if code:
        cookie = await access.login.by_link(code, source=source, agent=agent)
    else:
        cookie = await access.login.by_token(token.strip(), source=source, agent=agent)
    if cookie is None:
        fault = wrong_token(access, source=source)
        return await login_form(
            request, code="", after=next_, fault=fault, told=NOT_GOOD if code else ""
        )
    answer = RedirectResponse(own_page(next_), status_code=303)
    set_cookie(request, answer, access=access, value=cookie)
    return answer


@router.post("/logout")
async def log_out(
    request: Request, access: AccessOf, principal: PrincipalOf, caller: CallerOf
) -> Response:
    """End the session of this browser."""
    if principal.session_id:
        await access.login.end(principal.session_id, who=caller.principal, origin=origin_of(caller))
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(
        cookie_name(request.scope),
        secure=is_over_tls(request.scope),
        httponly=True,
        samesite="strict",
    )
    return answer


async def login_form(
    request: Request, *, code: str, after: str, fault: RuntimeFault | None = None, told: str = ""
) -> HTMLResponse:
    """Show the form, and what was wrong with what was shown before."""
    access: Access = request.app.state.services.access
    what = told or (fault.what if fault else "")
    provider = urlsplit(access.oidc.settings.issuer).netloc if access.oidc else ""
    shown = await render(
        request, "login.html", code=code, after=own_page(after), what=what, provider=provider
    )
    shown.headers["cache-control"] = "no-store"
    if fault is not None:
        answer = fault_of(fault)
        shown.status_code = answer.answer.status
        if answer.retry_after_s:
            shown.headers["retry-after"] = str(answer.retry_after_s)
    return shown


def own_page(path: str) -> str:
    """Return `path` if it is one of ours: never another site, however it is spelled."""
    is_ours = path.startswith("/") and not path.startswith("//")
    return path if is_ours and path.isprintable() and "\\" not in path else "/"


def set_cookie(request: Request, answer: Response, *, access: Access, value: str) -> None:
    """Give the browser the cookie of its session."""
    answer.set_cookie(
        cookie_name(request.scope),
        value,
        max_age=round(access.login.session_length.total_seconds()),
        path="/",
        secure=is_over_tls(request.scope),
        httponly=True,
        samesite="strict",
    )
