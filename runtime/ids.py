"""Identifiers: UUIDv7 (RFC 9562), so that they sort by the time they were made."""

import uuid_utils


def new_id() -> str:
    """Return a new UUIDv7 in its canonical text form."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Return whether `text` is a UUID in its canonical text form."""
    try:
        return str(uuid_utils.UUID(text)) == text
    except ValueError:
        return False
