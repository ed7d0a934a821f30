"""Times in the tables."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, TypeDecorator

WITHOUT_ZONE = len("2026-11-24 12:00:00.000000")


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, kept in UTC also where the database knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        """Return what makes of a time what the driver takes."""
        return _to_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Return what makes a time of what the driver gives."""
        return _of_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return `value` in UTC, as the database takes it."""
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return what the database holds as an aware time."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def _to_text(value: datetime | None) -> str | None:
    """Return a time as SQLAlchemy has SQLite keep it: in UTC, to the microsecond, of one length.

    There it takes five calls (2.4 us instead of 0.9, and a job has twenty-six times).
    """
    return value and value.astimezone(UTC).isoformat(" ", "microseconds")[:WITHOUT_ZONE]


def _of_text(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text + "+00:00") if text else None
