"""Sessions of browsers, by the digest of their cookie."""

from datetime import datetime

from sqlalchemy import Connection, or_, select, update

from runtime.store.schema import tables
from runtime.store.statements.rows import SESSION, plain, value_of
from runtime.values.access import Session

TIMES = ("started_at", "seen_at", "expires_at")


def add(connection: Connection, *, session: Session, digest: str) -> Session:
    """Keep a new session."""
    times = {name: getattr(session, name) for name in TIMES}
    connection.execute(
        tables.sessions.insert().values({**plain(session, SESSION), **times, "digest": digest})
    )
    return session


def by_digest(
    connection: Connection, *, digest: str, at: datetime, idle_since: datetime
) -> Session | None:
    """Return the session whose cookie has `digest`, unless it is over or was idle too long."""
    query = select(tables.sessions).where(tables.sessions.c.digest == digest)
    row = connection.execute(query).first()
    if row is None:
        return None
    session = value_of(row, SESSION)
    return session if at < session.expires_at and session.seen_at > idle_since else None


def is_there(connection: Connection, *, session_id: str, at: datetime) -> bool:
    """Return whether a session is not over; who follows something uses it, so it is not idle."""
    table = tables.sessions
    query = select(table.c.id).where(table.c.id == session_id, table.c.expires_at > at)
    return connection.execute(query).first() is not None


def note_use(connection: Connection, *, session_id: str, at: datetime) -> None:
    """Keep when a session was last used."""
    connection.execute(
        update(tables.sessions).where(tables.sessions.c.id == session_id).values(seen_at=at)
    )


def list_sessions(
    connection: Connection, *, at: datetime, idle_since: datetime
) -> tuple[Session, ...]:
    """Return the sessions that are not over, the last begun first; forget those that are."""
    table = tables.sessions
    connection.execute(
        table.delete().where(or_(table.c.expires_at <= at, table.c.seen_at <= idle_since))
    )
    query = select(table).order_by(table.c.started_at.desc())
    return tuple(value_of(row, SESSION) for row in connection.execute(query))


def end(connection: Connection, *, session_id: str) -> bool:
    """End a session; return whether there was one."""
    gone = connection.execute(tables.sessions.delete().where(tables.sessions.c.id == session_id))
    return gone.rowcount > 0
