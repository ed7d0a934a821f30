"""Identifiers: UUIDv7 (RFC 9562), so that they sort by the time they were made."""

from datetime import datetime

import uuid_utils


def new_id() -> str:
    """Return a new UUIDv7 in its canonical text form."""
    return str(uuid_utils.uuid7())


def first_id_at(at: datetime) -> str:
    """Return what sorts before every id that was made at `at` or later.

    >>> first_id_at(datetime.fromisoformat("2026-11-29T00:00:00Z"))
    '01a22499-f800-7000-8000-000000000000'
    """
    milliseconds = max(0, int(at.timestamp() * 1000))
    digits = f"{milliseconds:012x}"[-12:]
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{'0' * 12}"
