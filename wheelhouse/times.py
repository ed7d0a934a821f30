"""How every room writes a point in time."""

from datetime import UTC, datetime


def rfc3339(at: datetime) -> str:
    """Return `at` as RFC 3339 in UTC with milliseconds.

    >>> rfc3339(datetime(2026, 11, 24, 10, tzinfo=UTC))
    '2026-11-24T10:00:00.000Z'
    """
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
