"""The one clock of the runtime, and how its times are written."""

from collections.abc import Callable
from datetime import UTC, datetime

type Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def rfc3339(at: datetime) -> str:
    """Return `at` as RFC 3339 in UTC with milliseconds, such as 2026-11-24T10:00:00.000Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds_between(start: datetime, end: datetime) -> float:
    """Return the time from `start` to `end` in milliseconds."""
    return round((end - start).total_seconds() * 1000, 3)
