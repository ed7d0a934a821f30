"""Says who it is that shows a token or a cookie, and keeps when each was last used."""

from dataclasses import field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from frozen.values import frozen
from runtime.access.token_text import digest_of, is_whole
from runtime.access.tokens import is_live
from runtime.store.access import sessions, tokens
from runtime.store.databases.store import Store
from runtime.values.access import Principal, Scope, Session, Token, Way
from runtime.values.clock import Clock

if TYPE_CHECKING:
    from runtime.access.oidc import Oidc

NOTED_EVERY = timedelta(minutes=1)
"""How often the last use of a token or session is written, at most."""
LOCAL = "local:"
"""How the names of those begin who come by the socket, or by a link that it gave."""


@frozen
class Identification:
    """Looks up who shows what. `idle` is how long a session may rest."""

    store: Store
    clock: Clock
    idle: timedelta
    oidc: "Oidc | None" = None
    _noted: dict[str, datetime] = field(default_factory=dict[str, datetime])

    async def by_token(self, text: str, *, source: str) -> Principal | None:
        """Return whose token `text` is; None for none that is valid now."""
        if self.oidc is not None and text.count(".") == 2:  # as a signed token is (RFC 7515, 3.1)
            return await self.oidc.principal_of(text)
        if not is_whole(text):
            return None
        at = self.clock()
        token = await self.store.read(tokens.by_digest, digest=digest_of(text), at=at)
        if token is None or not is_live(token, at=at):
            return None
        if self._is_due(token.id, at=at):
            await self.store.run(tokens.note_use, token_id=token.id, at=at, source=source)
        return principal_of(token)

    async def by_cookie(self, text: str) -> Principal | None:
        """Return whose session `text` is the cookie of; None where it is over."""
        at = self.clock()
        found = await self.store.read(_session, digest=digest_of(text), at=at, idle=self.idle)
        if found is None:
            return None
        session, principal = found
        if self._is_due(session.id, at=at):
            await self.store.run(sessions.note_use, session_id=session.id, at=at)
        return Principal(
            name=principal.name,
            scopes=principal.scopes,
            packages=principal.packages,
            way=Way.SESSION,
            token_id=session.token_id,
            session_id=session.id,
            csrf=csrf_of(text),
            requests_per_minute=principal.requests_per_minute,
        )

    async def still_knows(self, principal: Principal) -> bool:
        """Return whether what `principal` came in with is good now, where it can end at all."""
        at = self.clock()
        if principal.way not in {Way.TOKEN, Way.SESSION}:
            return True
        return await self.store.read(
            _is_good, session_id=principal.session_id, token_id=principal.token_id, at=at
        )

    def _is_due(self, key: str, *, at: datetime) -> bool:
        last = self._noted.get(key)
        if last is not None and at - last < NOTED_EVERY:
            return False
        self._noted[key] = at
        return True


def _without_token(session: Session) -> tuple[Session, Principal] | None:
    """Return whose session it is that began by a link of the owner's, or at a provider."""
    if session.scopes is not None:
        return session, Principal(
            name=session.principal, scopes=frozenset(session.scopes), way=Way.SESSION
        )
    if session.principal.startswith(LOCAL):
        return session, local_admin(session.principal.removeprefix(LOCAL))
    return None


def principal_of(token: Token) -> Principal:
    """Return who asks with `token`."""
    return Principal(
        name=f"token:{token.name}",
        scopes=frozenset(token.scopes),
        packages=token.packages,
        way=Way.TOKEN,
        token_id=token.id,
        requests_per_minute=token.requests_per_minute,
    )


def local_admin(user: str) -> Principal:
    """Return the owner of the home, or root, who came by its socket."""
    return Principal(name=LOCAL + user, scopes=frozenset({Scope.ADMIN}), way=Way.SOCKET)


def csrf_of(cookie: str) -> str:
    """Return what the forms of a session carry: whoever lacks the cookie cannot know it."""
    return digest_of(f"csrf of {cookie}").removeprefix("sha256:")


def _session(
    connection: Connection, *, digest: str, at: datetime, idle: timedelta
) -> tuple[Session, Principal] | None:
    session = sessions.by_digest(connection, digest=digest, at=at, idle_since=at - idle)
    if session is None:
        return None
    if session.token_id is None:
        return _without_token(session)
    token = tokens.by_id(connection, token_id=session.token_id)
    if token is None or not is_live(token, at=at):
        return None
    return session, principal_of(token)


def _is_good(
    connection: Connection, *, session_id: str, token_id: str | None, at: datetime
) -> bool:
    if session_id and not sessions.is_there(connection, session_id=session_id, at=at):
        return False
    if token_id is None:
        return True
    token = tokens.by_id(connection, token_id=token_id)
    return token is not None and is_live(token, at=at)
