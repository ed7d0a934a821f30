"""Creates, rotates and revokes tokens; each act is in the audit log, the text never is."""

import re
from datetime import datetime, timedelta

from sqlalchemy import Connection

from frozen.values import frozen
from runtime.access.token_text import digest_of, new_text
from runtime.faults.errors import InputRefused
from runtime.store.access import audit, tokens
from runtime.store.packages import packages
from runtime.values.access import Scope, Token
from runtime.values.ids import new_id
from runtime.values.records import JsonObject
from wheelhouse.problem import Problem
from wheelhouse.times import rfc3339

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\*?|\*")
OVERLAP = timedelta(hours=24)
"""How long the former text of a rotated token is valid, where nothing else was asked for."""
OVERLAP_MOST = timedelta(days=30)


@frozen
class TokenWish:
    """What a new token shall be; `judged` says what is wrong with it."""

    name: str
    scopes: tuple[str, ...]
    packages: tuple[str, ...] = ()
    note: str = ""
    expires_at: datetime | None = None
    requests_per_minute: int | None = None


def create(
    connection: Connection, *, wish: TokenWish, who: str, at: datetime, origin: JsonObject
) -> tuple[Token, str]:
    """Make a token; return it and its text, which is never to be had again.

    Raises InputRefused with every fault of the wish, or StateConflict for a name that was given.
    """
    faults = [*_faults(wish, at=at), *_missing_packages(connection, wish)]
    if faults:
        raise InputRefused("The token cannot be made as it is", problems=faults)
    text = new_text()
    token = Token(
        id=new_id(),
        name=wish.name,
        note=wish.note,
        scopes=tuple(scope for scope in Scope if scope.value in wish.scopes),
        packages=tuple(dict.fromkeys(wish.packages)),
        created_at=at,
        created_by=who,
        expires_at=wish.expires_at,
        requests_per_minute=wish.requests_per_minute,
    )
    tokens.add(connection, token=token, digest=digest_of(text))
    details: JsonObject = {
        "scopes": [scope.value for scope in token.scopes],
        "packages": list(token.packages),
        "expires_at": rfc3339(token.expires_at) if token.expires_at else None,
        "requests_per_minute": token.requests_per_minute,
        **origin,
    }
    _write_down(connection, token, action="token.create", who=who, at=at, details=details)
    return token, text


def rotate(
    connection: Connection,
    *,
    name: str,
    overlap: timedelta,
    who: str,
    at: datetime,
    origin: JsonObject,
) -> tuple[Token, str]:
    """Give a token a new text; the former one stays valid for `overlap`."""
    if not timedelta(0) <= overlap <= OVERLAP_MOST:
        raise InputRefused(
            f"The former text cannot stay valid for {overlap}",
            where="overlap_minutes",
            mend=f"give 0 to {OVERLAP_MOST // timedelta(minutes=1)} minutes",
        )
    text = new_text()
    token = tokens.rotate(
        connection, name=name, digest=digest_of(text), at=at, former_until=at + overlap
    )
    details: JsonObject = {"former_until": rfc3339(at + overlap), **origin}
    _write_down(connection, token, action="token.rotate", who=who, at=at, details=details)
    return token, text


def revoke(
    connection: Connection, *, name: str, who: str, at: datetime, origin: JsonObject
) -> Token:
    """End a token, and every session that began with it, at once."""
    was_live = tokens.get(connection, name=name).revoked_at is None
    token = tokens.revoke(connection, name=name, at=at)
    if was_live:
        _write_down(connection, token, action="token.revoke", who=who, at=at, details=origin)
    return token


def is_live(token: Token, *, at: datetime) -> bool:
    """Return whether `token` opens anything at `at`."""
    return token.revoked_at is None and (token.expires_at is None or at < token.expires_at)


def _write_down(
    connection: Connection,
    token: Token,
    *,
    action: str,
    who: str,
    at: datetime,
    details: JsonObject,
) -> None:
    audit.append(connection, at=at, who=who, action=action, subject=token.name, details=details)


def _faults(wish: TokenWish, *, at: datetime) -> list[Problem]:
    known = ", ".join(scope.value for scope in Scope)
    found: list[Problem] = []
    if NAME.fullmatch(wish.name) is None:
        mend = "use up to 64 of a-z, 0-9, dot, hyphen and underscore, such as ci-upload"
        found.append(_problem(f"{wish.name!r} is not a name for a token", "name", mend))
    if not wish.scopes:
        found.append(_problem("A token without a scope opens nothing", "scopes", f"add {known}"))
    for scope in wish.scopes:
        if scope not in set(Scope):
            what = f"{scope!r} is not a scope"
            found.append(_problem(what, "scopes", f"scopes are {known}"))
    for pattern in wish.packages:
        if PATTERN.fullmatch(pattern) is None:
            what = f"{pattern!r} is neither the name of a package nor a prefix"
            found.append(_problem(what, "packages", "such as hello, or team-* for a prefix"))
    if wish.packages and Scope.ADMIN.value in wish.scopes:
        what = "An admin is not bound to packages: it could unbind itself"
        found.append(_problem(what, "packages", "leave out packages, or the scope admin"))
    if wish.requests_per_minute is not None and wish.requests_per_minute < 1:
        what = "A token that may ask nothing opens nothing"
        found.append(_problem(what, "requests_per_minute", "give 1 or more"))
    if wish.expires_at is not None and wish.expires_at <= at:
        what = f"{rfc3339(wish.expires_at)} is over already"
        found.append(_problem(what, "expires_at", "give a time that is to come"))
    return found


def _missing_packages(connection: Connection, wish: TokenWish) -> list[Problem]:
    """Return a problem for each package that is not there; an author may bring it yet."""
    if Scope.AUTHOR.value in wish.scopes:
        return []
    known = {
        one.name for one in packages.list_packages(connection, limit=100_000, cursor=None).items
    }
    return [
        _problem(f"There is no package {name}", "packages", "`fumehood package list` shows them")
        for name in wish.packages
        if not name.endswith("*") and PATTERN.fullmatch(name) and name not in known
    ]


def _problem(what: str, where: str, mend: str) -> Problem:
    return Problem(code="invalid-value", what=what, where=where, mend=mend)
