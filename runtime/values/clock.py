"""The one clock of the runtime."""

from collections.abc import Callable
from datetime import UTC, datetime

type Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def milliseconds_between(start: datetime, end: datetime) -> float:
    """Return the time from `start` to `end` in milliseconds."""
    return round((end - start).total_seconds() * 1000, 3)
