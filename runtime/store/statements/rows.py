"""Rows to values and back. JSON columns hold what pydantic makes of the frozen values."""

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

ACTIVATION = TypeAdapter(Activation)
ATTEMPT = TypeAdapter(Attempt)
AUDIT_ENTRY = TypeAdapter(AuditEntry)
AUDIT_HEAD = TypeAdapter(AuditHead)
ASKED = TypeAdapter(Asked)
BATCH = TypeAdapter(Batch)
DELIVERY = TypeAdapter(Delivery)
EVENT = TypeAdapter(Event)
GATE = TypeAdapter(Gate)
JOB = TypeAdapter(Job)
JOB_ERROR = TypeAdapter(JobError)
PACKAGE = TypeAdapter(Package)
PACKAGE_VERSION = TypeAdapter(PackageVersion)
PAUSE = TypeAdapter(Pause)
PIN = TypeAdapter(Pin)
PREPARED = TypeAdapter(PreparedRecord)
SCHEDULE = TypeAdapter(Schedule)
SESSION = TypeAdapter(Session)
STORED_OUTPUT = TypeAdapter(StoredOutput)
TICK = TypeAdapter(Tick)
TOKEN = TypeAdapter(Token)
WORKER = TypeAdapter(Worker)


def value_of[T](row: Row[Any], adapter: TypeAdapter[T]) -> T:
    """Return the value in `row`; columns that it has no field for are left out."""
    return adapter.validate_python(dict(row._mapping))  # pyright: ignore[reportPrivateUsage]


def plain[T](value: T, adapter: TypeAdapter[T]) -> dict[str, Any]:
    """Return `value` as plain JSON."""
    return adapter.dump_python(value, mode="json")


def plain_error(error: JobError | None) -> dict[str, Any] | None:
    """Return `error` as plain JSON, None for none."""
    return None if error is None else plain(error, JOB_ERROR)
