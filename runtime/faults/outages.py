"""Outages: what the disk or the database refuses us. Named here, whatever library raised it.

An outage is the operator's to mend and never a bug of ours: it has a code, is logged once for each
cause, and what it kept from being written is written once it is over.
"""

import errno
import logging
import time
from collections.abc import Callable, Iterator, Mapping

from runtime.faults.errors import (
    BlobsAway,
    DiskFull,
    HomeReadOnly,
    RuntimeFault,
    StoreAway,
    StoreBusy,
    StoreDamaged,
)

DEEPEST = 6
"""So many errors of which each is the cause of the one before are looked at."""
AGAIN_AFTER_S = 600.0
"""How often one cause is logged while it lasts."""
RETRY_S = 5

MENDS: Mapping[type[RuntimeFault], str] = {
    DiskFull: "make room on the disk of the home, or `fumehood retention` says what may go; "
    "it goes on by itself then",
    HomeReadOnly: "mount its file system for writing, or see why the kernel made it read-only "
    "(dmesg); it goes on by itself then",
    StoreBusy: "look for what else has fumehood.db open: `fuser fumehood.db`",
    StoreDamaged: "stop the appliance, and put back a copy of fumehood.db; "
    "`sqlite3 fumehood.db .recover` saves what can be read",
    StoreAway: "see whether the database server is up, or the disk of the home and the log of the "
    "kernel; it goes on by itself then",
    BlobsAway: "see whether the object store is up; it goes on by itself then",
}
BY_ERRNO: Mapping[int, type[RuntimeFault]] = {
    errno.ENOSPC: DiskFull,
    errno.EDQUOT: DiskFull,
    errno.EROFS: HomeReadOnly,
    errno.EIO: StoreAway,
}
"""What system calls say, errno(3)."""
BY_SQLITE: Mapping[str, type[RuntimeFault]] = {
    "SQLITE_FULL": DiskFull,
    "SQLITE_READONLY": HomeReadOnly,
    "SQLITE_BUSY": StoreBusy,
    "SQLITE_LOCKED": StoreBusy,
    "SQLITE_CORRUPT": StoreDamaged,
    "SQLITE_NOTADB": StoreDamaged,
    "SQLITE_IOERR": StoreAway,
    "SQLITE_CANTOPEN": StoreAway,
}
"""What SQLite says (https://sqlite.org/rescode.html); extended codes begin with these."""
BY_SQLSTATE: Mapping[str, type[RuntimeFault]] = {
    "57014": StoreAway,  # took longer than it may
    "55P03": StoreAway,  # a lock did not come free
    "53100": DiskFull,
    "53300": StoreAway,  # too many connections
    "57P03": StoreAway,  # it is starting
    "25006": HomeReadOnly,
}
"""What PostgreSQL says (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
OUTAGES = tuple(MENDS)


def outage_of(error: BaseException) -> RuntimeFault | None:
    """Return the outage that `error` tells of; None where it tells of none.

    >>> outage_of(OSError(errno.ENOSPC, "No space left on device")).code
    'disk-full'
    >>> outage_of(KeyError("a bug of ours")) is None
    True
    """
    for one in _causes(error):
        if isinstance(one, OUTAGES):
            return one
        if kind := _kind(one):
            return kind(where=_where(one), mend=MENDS[kind], retry_after_s=RETRY_S)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it is made of (SQLAlchemy's `orig`), and what caused it."""
    one: BaseException | None = error
    for _ in range(DEEPEST):
        if one is None:
            return
        yield one
        one = getattr(one, "orig", None) or one.__cause__


def _kind(error: BaseException) -> type[RuntimeFault] | None:
    if name := getattr(error, "sqlite_errorname", None):
        family = "_".join(str(name).split("_")[:2])
        return BY_SQLITE.get(family)
    if state := getattr(error, "sqlstate", None):
        return BY_SQLSTATE.get(str(state))
    if isinstance(error, OSError) and error.errno is not None:
        return BY_ERRNO.get(error.errno)
    return None


def _where(error: BaseException) -> str:
    if isinstance(error, OSError):
        return str(error.filename or "")
    return "the database"


class OncePerCause(logging.Filter):
    """Lets one line for each outage through, and again after a while; nothing of its tracebacks.

    Every loop of ours tries again each second or so: with a full disk that was 239 kB of tracebacks
    a minute. Put on a handler it sees what every logger says, those of libraries included.
    """

    def __init__(self, *, steady: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._steady = steady
        self._told_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be written; one of an outage is made short."""
        error = record.exc_info[1] if record.exc_info else None
        outage = outage_of(error) if error is not None else None
        if outage is None:
            return True
        now = self._steady()
        before = self._told_at.get(outage.code)
        if before is not None and now - before < AGAIN_AFTER_S:
            return False
        self._told_at[outage.code] = now
        mend = outage.problems[0].mend
        record.msg, record.args = (
            f"{record.getMessage()}: {outage.what} [{outage.code}]; {mend}",
            (),
        )
        record.exc_info, record.exc_text = None, None
        return True
