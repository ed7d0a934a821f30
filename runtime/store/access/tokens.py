"""Tokens: their scopes and life, by the digest of their text. The text itself is never here."""

import hmac
from datetime import datetime

from sqlalchemy import Connection, or_, select, update

from runtime.faults.errors import NotFound, StateConflict
from runtime.store.schema import tables
from runtime.store.statements.rows import TOKEN, plain, value_of
from runtime.values.access import Token

TIMES = ("created_at", "expires_at", "revoked_at", "rotated_at", "former_until", "used_at")


def add(connection: Connection, *, token: Token, digest: str) -> Token:
    """Keep a new token. Raises StateConflict for a name that was ever given.

    A name is never given again, since jobs and the audit log are told by it.
    """
    if find(connection, name=token.name):
        raise StateConflict(
            f"There is, or was, a token {token.name}",
            where="name",
            mend="choose another name, or `fumehood token rotate` it: a name is given once only",
        )
    times = {name: getattr(token, name) for name in TIMES}
    connection.execute(
        tables.tokens.insert().values({**plain(token, TOKEN), **times, "digest": digest})
    )
    return token


def find(connection: Connection, *, name: str) -> Token | None:
    """Return a token by its name, revoked ones too."""
    row = connection.execute(select(tables.tokens).where(tables.tokens.c.name == name)).first()
    return value_of(row, TOKEN) if row else None


def get(connection: Connection, *, name: str) -> Token:
    """Return a token by its name; raise NotFound."""
    if found := find(connection, name=name):
        return found
    raise NotFound(
        f"There is no token {name}", where=name, mend="`fumehood token list` shows the tokens"
    )


def by_digest(connection: Connection, *, digest: str, at: datetime) -> Token | None:
    """Return the token whose text, or whose former text while it lasts, has `digest`."""
    query = select(tables.tokens).where(
        or_(tables.tokens.c.digest == digest, tables.tokens.c.former_digest == digest)
    )
    for row in connection.execute(query):
        token = value_of(row, TOKEN)
        if hmac.compare_digest(row.digest, digest):
            return token
        is_valid_still = token.former_until is not None and at < token.former_until
        if hmac.compare_digest(row.former_digest or "", digest) and is_valid_still:
            return token
    return None


def by_id(connection: Connection, *, token_id: str) -> Token | None:
    """Return a token by its id."""
    row = connection.execute(select(tables.tokens).where(tables.tokens.c.id == token_id)).first()
    return value_of(row, TOKEN) if row else None


def list_tokens(connection: Connection) -> tuple[Token, ...]:
    """Return all tokens by name, revoked ones too."""
    query = select(tables.tokens).order_by(tables.tokens.c.name)
    return tuple(value_of(row, TOKEN) for row in connection.execute(query))


def revoke(connection: Connection, *, name: str, at: datetime) -> Token:
    """End a token and its sessions; to end one that has ended changes nothing."""
    token = get(connection, name=name)
    if token.revoked_at is None:
        _change(connection, name, revoked_at=at)
        sessions = tables.sessions
        connection.execute(sessions.delete().where(sessions.c.token_id == token.id))
    return get(connection, name=name)


def rotate(
    connection: Connection, *, name: str, digest: str, at: datetime, former_until: datetime
) -> Token:
    """Give a token another text; the former one is valid until `former_until`."""
    token = get(connection, name=name)
    if token.revoked_at is not None:
        raise StateConflict(f"The token {name} was revoked", where=name, mend="create another one")
    former = tables.tokens.c.digest
    _change(
        connection,
        name,
        former_digest=former,
        digest=digest,
        rotated_at=at,
        former_until=former_until,
    )
    return get(connection, name=name)


def note_use(connection: Connection, *, token_id: str, at: datetime, source: str) -> None:
    """Keep when a token was last used, and from where."""
    connection.execute(
        update(tables.tokens)
        .where(tables.tokens.c.id == token_id)
        .values(used_at=at, used_from=source)
    )


def _change(connection: Connection, name: str, **values: object) -> None:
    connection.execute(update(tables.tokens).where(tables.tokens.c.name == name).values(**values))
