"""The page of tokens and sessions: who may do what, until when, and who is logged in."""

from datetime import timedelta
from typing import Annotated

from fastapi import Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict

from runtime.access import tokens as token_story
from runtime.access.tokens import TokenWish
from runtime.faults.errors import RuntimeFault
from runtime.http.context import (
    AccessOf,
    CallerOf,
    ClockOf,
    Services,
    ServicesOf,
    StoreOf,
    origin_of,
)
from runtime.http.entrance.operations import page_operations
from runtime.http.pages.rendering import render
from runtime.http.preconditions import Look, Precondition, view_tag
from runtime.problem_table import fault_of
from runtime.store.access import tokens as token_store
from runtime.values.access import SCOPE_MEANS
from runtime.values.times import Time

router = page_operations()
Short = Annotated[str, Form(max_length=500)]
Number = Annotated[str, Form(max_length=7, pattern=r"^ *[0-9]* *$")]
"""A whole number, or nothing: a form sends a field that was left empty too."""
Days = Annotated[str, Form(max_length=5, pattern=r"^ *[0-9]* *$")]
"""As a number, and no more than times have room for: 273 years."""


class Rotation(BaseModel):
    """What a page showed of a token's text, so that of two rotations one comes second."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    rotated_at: Time | None
    revoked_at: Time | None


@router.get("/access")
async def show_access(request: Request, services: ServicesOf) -> HTMLResponse:
    """Show tokens and sessions."""
    return await _access_page(request, services=services)


@router.post("/access/tokens")
async def create_token(
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    *,
    name: Short = "",
    scopes: Annotated[list[str], Form()] = [],  # noqa: B006  (FastAPI copies it)
    packages: Short = "",
    note: Short = "",
    days: Days = "",
    rate: Number = "",
) -> HTMLResponse:
    """Make a token, and show its text once."""
    at = services.clock()
    wish = TokenWish(
        name=name.strip(),
        scopes=tuple(scopes),
        packages=tuple(packages.split()),
        note=note,
        expires_at=at + timedelta(days=int(days)) if days.strip() else None,
        requests_per_minute=int(rate) if rate.strip() else None,
    )
    try:
        _, text = await services.store.run(
            token_story.create, wish=wish, who=caller.principal, at=at, origin=origin_of(caller)
        )
    except RuntimeFault as fault:
        return await _access_page(request, services=services, fault=fault)
    return await _access_page(request, services=services, made=text)


@router.post("/access/tokens/{token_name}/rotate")
async def rotate_token(
    token_name: str,
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    *,
    hours: Days = "",
    seen: Short = "",
) -> HTMLResponse:
    """Give a token a new text, shown once; the former one stays valid for so many hours.

    `seen` is the tag of what the page showed: a second click would end the text of the first.
    """
    rotate = Precondition(seen).before(
        token_story.rotate, look=_look_at(token_name), is_needed=True
    )
    overlap = timedelta(hours=int(hours)) if hours.strip() else token_story.OVERLAP
    try:
        _, text = await services.store.run(
            rotate,
            name=token_name,
            overlap=overlap,
            who=caller.principal,
            at=services.clock(),
            origin=origin_of(caller),
        )
    except RuntimeFault as fault:
        return await _access_page(request, services=services, fault=fault)
    return await _access_page(request, services=services, made=text)


@router.post("/access/tokens/{token_name}/revoke")
async def revoke_token(
    token_name: str, store: StoreOf, clock: ClockOf, caller: CallerOf
) -> Response:
    """End a token, then show what is left."""
    await store.run(
        token_story.revoke,
        name=token_name,
        who=caller.principal,
        at=clock(),
        origin=origin_of(caller),
    )
    return RedirectResponse("/access", status_code=303)


@router.post("/access/sessions/{session_id}/end")
async def end_session(session_id: str, access: AccessOf, caller: CallerOf) -> Response:
    """Log a browser out, then show who is left."""
    await access.login.end(session_id, who=caller.principal, origin=origin_of(caller))
    return RedirectResponse("/access", status_code=303)


def _look_at(token_name: str) -> Look:
    return lambda connection: Rotation.model_validate(token_store.get(connection, name=token_name))


async def _access_page(
    request: Request, *, services: Services, made: str = "", fault: RuntimeFault | None = None
) -> HTMLResponse:
    tokens = await services.store.read(token_store.list_tokens)
    shown = await render(
        request,
        "access.html",
        tokens=tokens,
        tags={one.name: view_tag(Rotation.model_validate(one)) for one in tokens},
        sessions=await services.access.login.list_sessions(),
        scopes=SCOPE_MEANS,
        made=made,
        fault=fault,
    )
    shown.headers["cache-control"] = "no-store"
    if fault is not None:
        shown.status_code = fault_of(fault).answer.status
    return shown
