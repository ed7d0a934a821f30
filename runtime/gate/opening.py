"""The network gate: closed by default, open until a time for a reason, closed by itself.

Pure decisions, and the two acts that an admin can do with it, each with its audit entry.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import MappingProxyType

from packaging.utils import InvalidName, canonicalize_name
from sqlalchemy import Connection

from frozen.values import changed
from runtime.faults.errors import InputRefused
from runtime.store.access import audit as audit_store
from runtime.store.access import gate as gate_store
from runtime.values.records import Gate, JsonObject
from wheelhouse.problem import Problem
from wheelhouse.times import rfc3339

LONGEST = timedelta(days=7)
NOWHERE: JsonObject = MappingProxyType({})
"""From where an act came that came by no request."""


def is_open(gate: Gate, *, at: datetime) -> bool:
    """Return whether the gate is open at `at`."""
    return gate.is_open and gate.until is not None and at < gate.until


def as_of(gate: Gate, *, at: datetime) -> Gate:
    """Return the gate as it stands at `at`; `close_if_over` also writes it down."""
    return changed(gate, is_open=is_open(gate, at=at))


def opened(
    *, until: datetime, reason: str, who: str, packages: tuple[str, ...], at: datetime
) -> Gate:
    """Return an open gate; raise InputRefused for a time or a reason that will not do."""
    if not reason.strip():
        raise InputRefused(
            "The gate opens for a reason, and none was given",
            where="reason",
            mend="say in a few words what the network is needed for",
        )
    if not at < until <= at + LONGEST:
        raise InputRefused(
            f"The gate cannot be open until {rfc3339(until)}",
            where="until",
            mend=f"give a time after now and before {rfc3339(at + LONGEST)}",
        )
    if faults := [_no_name(name) for name in packages if not _is_name(name)]:
        raise InputRefused("The gate opens for distributions by name", problems=faults)
    return Gate(is_open=True, until=until, reason=reason, who=who, packages=packages, changed_at=at)


def _is_name(name: str) -> bool:
    try:
        canonicalize_name(name, validate=True)
    except InvalidName:
        return False
    return True


def _no_name(name: str) -> Problem:
    return Problem(
        code="invalid-value",
        what=f"{name!r} is not the name of a distribution",
        where="packages",
        mend="give names only, such as numpy, without versions",
    )


def open_gate(
    connection: Connection,
    *,
    gate: Gate,
    origin: JsonObject = NOWHERE,
    sign: Callable[[Connection, datetime], object] | None = None,
) -> Gate:
    """Open the gate as `gate` says, and write it into the audit log, with what it was before.

    `sign` signs the log in the same transaction: no opening can be cut off it later.
    """
    details: JsonObject = {
        "before": _words(gate_store.get(connection)),
        "until": rfc3339(gate.until) if gate.until else None,
        "reason": gate.reason,
        "packages": list(gate.packages),
        **origin,
    }
    _audit(connection, gate=gate, action="gate.open", details=details)
    if sign is not None:
        sign(connection, gate.changed_at)
    return gate_store.put(connection, gate=gate)


def close_gate(
    connection: Connection,
    *,
    who: str,
    reason: str,
    at: datetime,
    origin: JsonObject = NOWHERE,
) -> Gate:
    """Close the gate; closing a closed gate changes nothing."""
    gate = gate_store.get(connection)
    if not gate.is_open:
        return gate
    closed = Gate(is_open=False, until=None, reason=reason, who=who, packages=(), changed_at=at)
    details: JsonObject = {"before": _words(gate), "reason": reason, **origin}
    _audit(connection, gate=closed, action="gate.close", details=details)
    return gate_store.put(connection, gate=closed)


def close_if_over(connection: Connection, *, at: datetime) -> Gate:
    """Return the gate as it is at `at`; write down that its time is over, if it is."""
    gate = gate_store.get(connection)
    if gate.is_open and not is_open(gate, at=at):
        over = f"the time that {gate.who} gave it is over"
        return close_gate(connection, who="fumehood", reason=over, at=gate.until or at)
    return gate


def _words(gate: Gate) -> str:
    if not gate.is_open or gate.until is None:
        return "closed"
    return f"open until {rfc3339(gate.until)} by {gate.who}"


def _audit(connection: Connection, *, gate: Gate, action: str, details: JsonObject) -> None:
    audit_store.append(
        connection,
        at=gate.changed_at,
        who=gate.who,
        action=action,
        subject="gate",
        details=details,
    )
