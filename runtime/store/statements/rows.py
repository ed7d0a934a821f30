"""Rows to values and back. JSON columns hold what pydantic makes of the frozen values."""

from functools import cached_property
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from runtime.values.access import Session, Token
from runtime.values.around.batches import Batch
from runtime.values.around.questions import Asked
from runtime.values.around.webhooks import Delivery
from runtime.values.records import (
    Activation,
    Attempt,
    AuditEntry,
    AuditHead,
    Event,
    Gate,
    Job,
    JobError,
    Package,
    PackageVersion,
    Pin,
    PreparedRecord,
    StoredOutput,
    Worker,
)
from runtime.values.when.schedules import Pause, Schedule, Tick


class Stored[T]:
    """How a kind of value is read and written; worked out with the first (22 kinds are 9 ms)."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._kind)

    def read(self, value: object) -> T:
        """Return what `value` holds as columns or JSON has it."""
        return self._adapter.validate_python(value)

    def plain(self, value: T) -> dict[str, Any]:
        """Return `value` as plain JSON."""
        return self._adapter.dump_python(value, mode="json")


ACTIVATION = Stored(Activation)
ATTEMPT = Stored(Attempt)
AUDIT_ENTRY = Stored(AuditEntry)
AUDIT_HEAD = Stored(AuditHead)
ASKED = Stored(Asked)
BATCH = Stored(Batch)
DELIVERY = Stored(Delivery)
EVENT = Stored(Event)
GATE = Stored(Gate)
JOB = Stored(Job)
JOB_ERROR = Stored(JobError)
PACKAGE = Stored(Package)
PACKAGE_VERSION = Stored(PackageVersion)
PAUSE = Stored(Pause)
PIN = Stored(Pin)
PREPARED = Stored(PreparedRecord)
SCHEDULE = Stored(Schedule)
SESSION = Stored(Session)
STORED_OUTPUT = Stored(StoredOutput)
TICK = Stored(Tick)
TOKEN = Stored(Token)
WORKER = Stored(Worker)


def value_of[T](row: Row[Any], stored: Stored[T]) -> T:
    """Return the value in `row`; columns that it has no field for are left out."""
    return stored.read(dict(row._mapping))  # pyright: ignore[reportPrivateUsage]


def plain[T](value: T, stored: Stored[T]) -> dict[str, Any]:
    """Return `value` as plain JSON."""
    return stored.plain(value)


def plain_error(error: JobError | None) -> dict[str, Any] | None:
    """Return `error` as plain JSON, None for none."""
    return None if error is None else plain(error, JOB_ERROR)
