"""The database of a home, for commands that work on the home itself, beside an appliance.

What they change there is an admin's act like any other, and is in the same audit log.
"""

from collections.abc import Callable
from typing import Concatenate

from sqlalchemy import Connection

from runtime.home.local_user import local_user
from runtime.settings.settings import Settings
from runtime.store.access import audit
from runtime.store.databases.database import Database, database_at
from runtime.values.clock import utc_now
from runtime.values.records import JsonObject


def in_home[**P, T](
    settings: Settings, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kw: P.kwargs
) -> T | None:
    """Run `act` in one transaction of the home's database; None where there is none yet."""
    database = database_of(settings)
    return database.once(act, *args, **kw) if database.is_there() else None


def has_database(settings: Settings) -> bool:
    """Return whether an appliance has ever run in this home."""
    return database_of(settings).is_there()


def database_of(settings: Settings) -> Database:
    """Return the database of these settings: the home's file, or the PostgreSQL of many."""
    return database_at(settings.database_url, home=settings.home)


def write_down(settings: Settings, *, action: str, subject: str, details: JsonObject) -> None:
    """Write what the user of this machine did into the audit log of the home, if it has one."""
    in_home(
        settings,
        audit.append,
        at=utc_now(),
        who=local_user(),
        action=action,
        subject=subject,
        details=details,
    )
