"""Who may do what, as pure decisions over a principal and the table."""

from runtime.access.operations import ANYBODY, Scopes
from runtime.values.access import Principal, Scope, Sight, Way

SEES_ALL = frozenset({Scope.VIEWER, Scope.OPERATOR, Scope.ADMIN})


def may(principal: Principal, scopes: Scopes) -> bool:
    """Return whether `principal` may use an operation that is for `scopes`."""
    return scopes == ANYBODY or bool(principal.scopes & scopes)


def sight_of(principal: Principal) -> Sight:
    """Return which jobs `principal` sees: a client its own, within the packages it is bound to."""
    owner = None if principal.scopes & SEES_ALL else principal.name
    return Sight(owner=owner, packages=principal.packages)


def changes_of(principal: Principal) -> Sight:
    """Return which jobs `principal` may change: a client that may see all, still its own only."""
    is_free = principal.scopes & {Scope.OPERATOR, Scope.ADMIN}
    return Sight(owner=None if is_free else principal.name, packages=principal.packages)


def own_sight_of(principal: Principal) -> Sight:
    """Return whose webhooks, deliveries, batches and bulk operations `principal` sees.

    These are of no one package, and hold addresses and reasons: who is bound to packages, or is
    anybody at an open door, sees its own only.
    """
    return _own(principal, sight_of(principal))


def own_changes_of(principal: Principal) -> Sight:
    """Return whose of these `principal` may change."""
    return _own(principal, changes_of(principal))


def _own(principal: Principal, sight: Sight) -> Sight:
    is_narrow = bool(principal.packages) or principal.way is Way.OPEN_DOOR
    return Sight(owner=principal.name if is_narrow else sight.owner)
