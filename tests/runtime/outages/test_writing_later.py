"""What an outage keeps from being written is tried again until it is written, and logged once."""

import errno
import logging
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from runtime.faults.errors import BlobsAway, DiskFull, StoreAway, Superseded
from runtime.faults.outages import AGAIN_AFTER_S, OncePerCause, outage_of
from runtime.jobs.attempts.persistence import LONGEST_WAIT_S, until_written
from runtime.problem_table import fault_of


class Writing:
    """Something to write, that fails as it is told to before it is written."""

    def __init__(self, *fails: Exception) -> None:
        self._fails = list(fails)
        self.waits: list[float] = []

    async def write(self) -> str:
        if self._fails:
            raise self._fails.pop(0)
        return "written"

    async def sleep(self, wait_s: float) -> None:
        self.waits.append(wait_s)


@pytest.mark.parametrize(
    "outage",
    [DiskFull(), StoreAway(), BlobsAway(), OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "")],
)
async def test_what_an_outage_refuses_is_written_later(outage: Exception) -> None:
    writing = Writing(*[outage] * 10)
    assert await until_written(writing.write, doing="it", sleep=writing.sleep) == "written"
    assert writing.waits == sorted(writing.waits) and max(writing.waits) == LONGEST_WAIT_S


async def test_who_was_overtaken_meanwhile_waits_no_longer() -> None:
    writing = Writing(DiskFull(), Superseded())
    with pytest.raises(Superseded):
        await until_written(writing.write, doing="it", sleep=writing.sleep)
    assert len(writing.waits) == 1


@pytest.mark.parametrize("fault", [KeyError("a bug"), OSError(errno.EACCES, "not allowed")])
async def test_what_is_no_outage_is_not_tried_again(fault: Exception) -> None:
    writing = Writing(fault)
    with pytest.raises(type(fault)):
        await until_written(writing.write, doing="it", sleep=writing.sleep)
    assert not writing.waits


async def test_an_outage_that_does_not_end_is_told_in_the_end() -> None:
    writing = Writing(*[DiskFull()] * 1000)
    with pytest.raises(DiskFull):
        await until_written(writing.write, doing="it", kept_for_s=60, sleep=writing.sleep)
    assert 60 <= sum(writing.waits) < 60 + LONGEST_WAIT_S


def of_sqlite(name: str) -> OperationalError:
    """Return what SQLAlchemy raises where SQLite says `name`."""
    said = sqlite3.OperationalError("…")
    said.sqlite_errorname = name
    return OperationalError("SELECT 1", {}, said)


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        ("SQLITE_FULL", "disk-full", 507),
        ("SQLITE_READONLY_DBMOVED", "home-read-only", 503),
        ("SQLITE_BUSY_SNAPSHOT", "store-busy", 503),
        ("SQLITE_NOTADB", "store-damaged", 503),
        ("SQLITE_CORRUPT_INDEX", "store-damaged", 503),
        ("SQLITE_IOERR_WRITE", "store-away", 503),
        ("SQLITE_CONSTRAINT", "internal-error", 500),
    ],
)
def test_what_sqlite_says_has_a_name(name: str, code: str, status: int) -> None:
    fault = fault_of(of_sqlite(name))
    assert (fault.code, fault.answer.status) == (code, status)
    assert (outage_of(of_sqlite(name)) is None) == (code == "internal-error")


def test_an_outage_is_logged_once_and_again_after_a_while() -> None:
    now = [0.0]
    once = OncePerCause(steady=lambda: now[0])

    def is_told(error: Exception) -> bool:
        said = (logging.ERROR, "x.py", 1, "a heartbeat failed", (), (type(error), error, None))
        record = logging.LogRecord("fumehood", *said)
        is_passed = once.filter(record)
        assert outage_of(error) is None or "Traceback" not in record.getMessage()
        return is_passed

    full, busy, bug = of_sqlite("SQLITE_FULL"), of_sqlite("SQLITE_BUSY"), KeyError("a bug")
    assert [is_told(one) for one in (full, full, busy, busy, bug, bug)] == [
        *(True, False),
        *(True, False),
        *(True, True),
    ]
    now[0] = AGAIN_AFTER_S + 1
    assert [is_told(full), is_told(full)] == [True, False]
