"""Who asks, and what they may: scopes, principals, tokens and sessions, as plain values."""

from datetime import datetime
from enum import StrEnum

from frozen.values import frozen


class Scope(StrEnum):
    """What a principal may do; it may have several."""

    AUTHOR = "author"
    CLIENT = "client"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


SCOPE_MEANS = {
    Scope.AUTHOR: "upload, activate and roll back packages",
    Scope.CLIENT: "submit jobs, and see and cancel its own",
    Scope.VIEWER: "read what there is, change nothing",
    Scope.OPERATOR: "see, cancel and retry the jobs of all",
    Scope.ADMIN: "everything, the gate, the wheelhouse, tokens and the audit log among it",
}


class Way(StrEnum):
    """How a principal showed who it is."""

    NONE = "none"
    SOCKET = "socket"
    TOKEN = "token"  # noqa: S105  (the name of a way, no secret)
    SESSION = "session"
    OPEN_DOOR = "open-door"
    OIDC = "oidc"


@frozen
class Principal:
    """Who asks. `packages` are the names, or prefixes with `*`, that it is bound to; empty: all.

    `token_id` is the token behind it, None for the owner at home. `csrf` is what a form of its
    browser has to send back; empty where no browser is. `requests_per_minute` is how often it
    may ask, where that is not as the settings say.
    """

    name: str
    scopes: frozenset[Scope] = frozenset()
    packages: tuple[str, ...] = ()
    way: Way = Way.NONE
    token_id: str | None = None
    session_id: str = ""
    csrf: str = ""
    requests_per_minute: int | None = None

    @property
    def is_known(self) -> bool:
        """Return whether we know who it is."""
        return self.way is not Way.NONE


NOBODY = Principal(name="anonymous")
VISITOR = Principal(name="anonymous", scopes=frozenset({Scope.VIEWER}), way=Way.OPEN_DOOR)
"""Anybody, where the admin lets all read."""


@frozen
class Sight:
    """Which jobs somebody sees: those of `owner` (None: of all) and of `packages` (empty: all)."""

    owner: str | None = None
    packages: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is out of sight."""
        return self.owner is None and not self.packages

    def includes(self, *, owner: str, package: str) -> bool:
        """Return whether a job of `owner`, of `package`, is seen."""
        return self.owner in {None, owner} and is_bound_to(self.packages, package)


def is_bound_to(patterns: tuple[str, ...], package: str) -> bool:
    """Return whether `package` is among `patterns`: names, or prefixes with `*`; none: all.

    >>> is_bound_to(("hello", "team-*"), "team-one"), is_bound_to(("hello",), "other")
    (True, False)
    """
    return not patterns or any(
        package.startswith(one[:-1]) if one.endswith("*") else package == one for one in patterns
    )


EVERYTHING = Sight()


@frozen
class Token:
    """A token as it is kept: everything but its text, which is shown once."""

    id: str
    name: str
    note: str
    scopes: tuple[Scope, ...]
    packages: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    rotated_at: datetime | None = None
    former_until: datetime | None = None
    used_at: datetime | None = None
    used_from: str = ""
    requests_per_minute: int | None = None


@frozen
class Session:
    """A browser that logged in. `token_id` is the token it logged in with, None for a link.

    `scopes` are what it may where no token says so: a provider vouched for it. None for others.
    """

    id: str
    principal: str
    token_id: str | None
    started_at: datetime
    seen_at: datetime
    expires_at: datetime
    source: str
    agent: str
    scopes: tuple[Scope, ...] | None = None
