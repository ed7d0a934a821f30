"""Pausing all dispatch, a package or a schedule, and letting it go on; each is in the audit log."""

from datetime import datetime

from sqlalchemy import Connection

from runtime.faults.errors import NotFound
from runtime.store.access import audit
from runtime.store.packages import packages
from runtime.store.when import pauses
from runtime.store.when import schedules as schedule_store
from runtime.values.records import JsonObject
from runtime.values.when.schedules import ALL, PACKAGE, SCHEDULE, Pause
from wheelhouse.times import rfc3339


def pause(connection: Connection, *, wanted: Pause, origin: JsonObject) -> Pause:
    """Pause what there is, or say anew until when and why; raise NotFound."""
    _refuse_unknown(connection, wanted.subject)
    pauses.put(connection, pause=wanted)
    until = rfc3339(wanted.until) if wanted.until else None
    audit.append(
        connection,
        at=wanted.at,
        who=wanted.who,
        action="pause",
        subject=wanted.subject,
        details={"reason": wanted.reason, "until": until, **origin},
    )
    return wanted


def resume(
    connection: Connection, *, subject: str, who: str, at: datetime, origin: JsonObject
) -> Pause:
    """End a pause; raise NotFound where there is none."""
    ended = pauses.remove(connection, subject=subject, at=at)
    if ended is None:
        raise NotFound(
            f"{subject} is not paused", where=subject, mend="`fumehood queue show` shows what is"
        )
    audit.append(
        connection,
        at=at,
        who=who,
        action="resume",
        subject=subject,
        details={"paused_by": ended.who, "reason": ended.reason, **origin},
    )
    return ended


def _refuse_unknown(connection: Connection, subject: str) -> None:
    if subject.startswith(PACKAGE):
        packages.get_package(connection, name=subject.removeprefix(PACKAGE))
    elif subject.startswith(SCHEDULE):
        schedule_store.get(connection, schedule_id=subject.removeprefix(SCHEDULE))
    elif subject != ALL:
        raise NotFound(
            f"Nothing is called {subject} that could be paused",
            where=subject,
            mend="pause all, package:NAME or schedule:ID",
        )
