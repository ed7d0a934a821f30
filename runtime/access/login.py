"""Begins and ends sessions of browsers: by a token, or by a link that is good once."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from frozen.values import frozen
from runtime.access.identification import LOCAL
from runtime.access.token_text import digest_of, is_whole
from runtime.access.tokens import is_live
from runtime.store.access import audit, sessions, tokens
from runtime.store.databases.store import Store
from runtime.values.access import NOBODY, Principal, Scope, Session
from runtime.values.clock import Clock
from runtime.values.ids import new_id
from runtime.values.records import JsonObject

LINK_S = 600.0
LINKS_MOST = 100


@dataclass(slots=True, kw_only=True)
class Links:
    """Links that were given out and not used yet; they do not outlive the process."""

    monotonic: Callable[[], float]
    _given: dict[str, tuple[Principal, float]] = field(
        default_factory=dict[str, tuple[Principal, float]]
    )

    def give(self, principal: Principal) -> str:
        """Return the code of a new link for `principal`, good once and for ten minutes."""
        code = secrets.token_urlsafe(32)
        self._given[digest_of(code)] = (principal, self.monotonic() + LINK_S)
        for oldest in list(self._given)[:-LINKS_MOST]:
            del self._given[oldest]
        return code

    def take(self, code: str) -> Principal | None:
        """Return whom the link with `code` was given to, once; None where it is good no more."""
        principal, until = self._given.pop(digest_of(code), (NOBODY, 0.0))
        return principal if self.monotonic() < until else None


@frozen
class Login:
    """Begins sessions. `lasting` is how long one lasts, however often it is used."""

    store: Store
    clock: Clock
    links: Links
    idle: timedelta
    session_length: timedelta

    async def by_token(self, text: str, *, source: str, agent: str) -> str | None:
        """Begin a session with a token; return its cookie, None where the token is not valid."""
        if not is_whole(text):
            return None
        at = self.clock()
        token = await self.store.read(tokens.by_digest, digest=digest_of(text), at=at)
        if token is None or not is_live(token, at=at):
            return None
        return await self._begin(
            f"token:{token.name}", token_id=token.id, source=source, agent=agent
        )

    async def by_link(self, code: str, *, source: str, agent: str) -> str | None:
        """Begin a session with a link; return its cookie, None where it is used.

        It is the session of who asked for the link: if that was a token, it ends with it.
        """
        principal = self.links.take(code)
        if principal is None:
            return None
        return await self.begin_for(principal, source=source, agent=agent)

    async def begin_for(self, principal: Principal, *, source: str, agent: str) -> str:
        """Begin a session of `principal`; return its cookie.

        It may what its token may; without one, what it may now, and the owner at home everything.
        """
        is_vouched = principal.token_id is None and not principal.name.startswith(LOCAL)
        return await self._begin(
            principal.name,
            token_id=principal.token_id,
            source=source,
            agent=agent,
            scopes=tuple(sorted(principal.scopes)) if is_vouched else None,
        )

    async def list_sessions(self) -> tuple[Session, ...]:
        """Return the sessions that are not over."""
        at = self.clock()
        return await self.store.run(sessions.list_sessions, at=at, idle_since=at - self.idle)

    async def end(self, session_id: str, *, who: str, origin: JsonObject) -> None:
        """End a session; to end one that is over changes nothing."""
        await self.store.run(_end, session_id=session_id, who=who, at=self.clock(), origin=origin)

    async def _begin(
        self,
        principal: str,
        *,
        token_id: str | None,
        source: str,
        agent: str,
        scopes: tuple[Scope, ...] | None = None,
    ) -> str:
        cookie = secrets.token_urlsafe(32)
        at = self.clock()
        session = Session(
            id=new_id(),
            principal=principal,
            token_id=token_id,
            started_at=at,
            seen_at=at,
            expires_at=at + self.session_length,
            source=source,
            agent=agent[:200],
            scopes=scopes,
        )
        await self.store.run(_add, session=session, digest=digest_of(cookie))
        return cookie


def _add(connection: Connection, *, session: Session, digest: str) -> None:
    sessions.add(connection, session=session, digest=digest)
    audit.append(
        connection,
        at=session.started_at,
        who=session.principal,
        action="session.begin",
        subject=session.id,
        details={"from": session.source},
    )


def _end(
    connection: Connection, *, session_id: str, who: str, at: datetime, origin: JsonObject
) -> None:
    if sessions.end(connection, session_id=session_id):
        audit.append(
            connection, at=at, who=who, action="session.end", subject=session_id, details=origin
        )
