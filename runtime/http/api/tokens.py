"""/v1/tokens, /v1/sessions, /v1/me: who may do what, and who is logged in."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from runtime.access import tokens as token_story
from runtime.access.tokens import OVERLAP, TokenWish
from runtime.http.api.models.sent_values import Sentence, WholeNumber
from runtime.http.api.models.views import PageOf, View
from runtime.http.context import (
    AccessOf,
    CallerOf,
    ClockOf,
    PrincipalOf,
    StoreOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.http.preconditions import PreconditionOf
from runtime.store.access import tokens as token_store
from runtime.values.access import Scope, Token
from runtime.values.times import Moment, Time

MINUTES = OVERLAP // timedelta(minutes=1)
router = operations(prefix="/v1", tags=["access"])


class TokenView(View):
    """A token, without its text: that is shown once, when it is made."""

    name: str
    note: str
    scopes: tuple[Scope, ...]
    packages: tuple[str, ...]
    created_at: Time
    created_by: str
    expires_at: Time | None
    revoked_at: Time | None
    rotated_at: Time | None
    former_until: Time | None
    used_at: Time | None
    used_from: str
    requests_per_minute: int | None


class NewTokenView(TokenView):
    """A token just made or rotated, with its text. It cannot be shown again."""

    token: str


class TokenOrder(BaseModel):
    """A token to be made: what it may do, for which packages, until when."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"name": "ci-upload", "scopes": ["author"], "packages": ["hello"]}
        },
    )

    name: Annotated[str, Field(max_length=200)]
    scopes: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=16)]
    packages: Annotated[
        tuple[Annotated[str, Field(max_length=200)], ...],
        Field(max_length=100, description="Names, or prefixes with `*`; empty: all."),
    ] = ()
    note: Sentence = ""
    expires_at: Moment | None = None
    requests_per_minute: (
        Annotated[
            WholeNumber,
            Field(ge=1, le=1_000_000, description="Empty: as the settings say."),
        ]
        | None
    ) = None


class RotationOrder(BaseModel):
    """For how long the former text stays valid."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"overlap_minutes": 60}}
    )

    overlap_minutes: Annotated[WholeNumber, Field(ge=0, le=43_200)] = MINUTES


class MeView(View):
    """Who asks, and what it may do."""

    principal: str
    scopes: tuple[Scope, ...]
    packages: tuple[str, ...]
    way: str


class SessionView(View):
    """A browser that is logged in."""

    id: str
    principal: str
    started_at: Time
    seen_at: Time
    expires_at: Time
    source: str
    agent: str


class LinkView(View):
    """The path of a login link, good once and for ten minutes."""

    path: str


@router.get("/me")
async def show_me(principal: PrincipalOf) -> MeView:
    """Return who you are, and what you may do."""
    return MeView(
        principal=principal.name,
        scopes=tuple(sorted(principal.scopes)),
        packages=principal.packages,
        way=principal.way.value,
    )


@router.get("/tokens")
async def list_tokens(store: StoreOf) -> PageOf[TokenView]:
    """Return the tokens by name, revoked ones too."""
    found = await store.read(token_store.list_tokens)
    return PageOf(items=tuple(TokenView.model_validate(one) for one in found), next_cursor=None)


@router.post("/tokens", status_code=201)
async def create_token(
    order: TokenOrder, *, store: StoreOf, clock: ClockOf, caller: CallerOf
) -> NewTokenView:
    """Make a token. Its text is in this answer, and never to be had again."""
    wish = TokenWish(**order.model_dump())
    token, text = await store.run(
        token_story.create,
        wish=wish,
        who=caller.principal,
        at=clock(),
        origin=origin_of(caller),
    )
    return _new(token, text)


@router.get("/tokens/{token_name}")
async def show_token(token_name: str, store: StoreOf) -> TokenView:
    """Return a token: what it may do, and when it was last used."""
    return TokenView.model_validate(await store.read(token_store.get, name=token_name))


@router.delete("/tokens/{token_name}")
async def revoke_token(
    token_name: str, *, store: StoreOf, clock: ClockOf, caller: CallerOf
) -> TokenView:
    """End a token, and the sessions that began with it, at once."""
    token = await store.run(
        token_story.revoke,
        name=token_name,
        who=caller.principal,
        at=clock(),
        origin=origin_of(caller),
    )
    return TokenView.model_validate(token)


@router.post("/tokens/{token_name}/rotate")
async def rotate_token(
    token_name: str,
    order: RotationOrder | None = None,
    *,
    store: StoreOf,
    clock: ClockOf,
    caller: CallerOf,
    precondition: PreconditionOf,
) -> NewTokenView:
    """Give a token a new text; the former one stays valid for a day, or as long as is said.

    428 without If-Match: a second one at once would end the text that the first let live on.
    """
    minutes = (order or RotationOrder()).overlap_minutes
    token, text = await store.run(
        precondition.before(
            token_story.rotate,
            look=lambda connection: TokenView.model_validate(
                token_store.get(connection, name=token_name)
            ),
            is_needed=True,
        ),
        name=token_name,
        overlap=timedelta(minutes=minutes),
        who=caller.principal,
        at=clock(),
        origin=origin_of(caller),
    )
    return _new(token, text)


def _new(token: Token, text: str) -> NewTokenView:
    return NewTokenView(**TokenView.model_validate(token).model_dump(), token=text)


@router.get("/sessions")
async def list_sessions(access: AccessOf) -> PageOf[SessionView]:
    """Return the browsers that are logged in, the last first."""
    found = await access.login.list_sessions()
    return PageOf(items=tuple(SessionView.model_validate(one) for one in found), next_cursor=None)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(session_id: str, access: AccessOf, caller: CallerOf) -> None:
    """Log a browser out."""
    await access.login.end(session_id, who=caller.principal, origin=origin_of(caller))


@router.post("/login-links", status_code=201)
async def make_link(access: AccessOf, principal: PrincipalOf) -> LinkView:
    """Make a link that logs a browser in as who asks: good once, and for ten minutes."""
    return LinkView(path=f"/login?code={access.login.links.give(principal)}")
