"""By which keys jobs were sent: the same key of the same principal is the same job.

After draft-ietf-httpapi-idempotency-key-header: another order under a key that is known is refused.
"""

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from runtime.faults.errors import KeyUsed
from runtime.store.schema import tables
from runtime.values.records import SentKey

KNOWN = select(tables.submissions).where(
    tables.submissions.c.principal == bindparam("of_principal"),
    tables.submissions.c.key == bindparam("of_key"),
)
INSERT = tables.submissions.insert()


def job_sent_before(connection: Connection, *, sent: SentKey) -> str | None:
    """Return the id of the job that was sent by this key; raise KeyUsed for another order."""
    found = connection.execute(KNOWN, {"of_principal": sent.principal, "of_key": sent.key}).first()
    if found is None:
        return None
    if found.fingerprint != sent.fingerprint:
        raise KeyUsed(
            f"The key {sent.key!r} was used for another order, which is job {found.job_id}",
            where="header: Idempotency-Key",
            mend="take a new key for each order; the same key is for sending the same order again",
        )
    return found.job_id


def note(connection: Connection, *, sent: SentKey, job_id: str, at: datetime) -> None:
    """Write down by which key a job was sent."""
    key = {"principal": sent.principal, "key": sent.key}
    told = {"fingerprint": sent.fingerprint, "job_id": job_id, "at": at}
    connection.execute(INSERT, key | told)


def forget(connection: Connection, *, before: datetime) -> int:
    """Forget the keys that were used before then; return how many."""
    old = delete(tables.submissions).where(tables.submissions.c.at < before)
    return connection.execute(old).rowcount
