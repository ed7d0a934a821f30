"""The append-only audit log: each entry's digest covers the digest of the one before."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, select

from runtime.store.schema import tables
from runtime.store.statements.cursor import number_of, page_of
from runtime.store.statements.rows import AUDIT_ENTRY, AUDIT_HEAD, plain, value_of
from runtime.values.records import AuditEntry, AuditHead, JsonObject, Page
from wheelhouse.times import rfc3339

BEGINNING = "sha256:" + "0" * 64


def append(
    connection: Connection,
    *,
    at: datetime,
    who: str,
    action: str,
    subject: str,
    details: JsonObject,
) -> AuditEntry:
    """Add one act to the log."""
    last = connection.execute(
        select(tables.audit.c.seq, tables.audit.c.digest)
        .order_by(tables.audit.c.seq.desc())
        .limit(1)
    ).first()
    seq, before = (last.seq + 1, last.digest) if last else (1, BEGINNING)
    facts = {"at": rfc3339(at), "who": who, "action": action, "subject": subject}
    digest = link(before, facts=facts | {"details": dict(details)}, seq=seq)
    entry = AuditEntry(
        seq=seq, at=at, who=who, action=action, subject=subject, details=details, digest=digest
    )
    connection.execute(
        tables.audit.insert().values(
            seq=seq,
            at=at,
            who=who,
            action=action,
            subject=subject,
            details=dict(details),
            digest=digest,
        )
    )
    return entry


def link(before: str, *, facts: JsonObject, seq: int) -> str:
    """Return the digest of an entry that follows the one with digest `before`."""
    text = json.dumps({"before": before, "seq": seq, **facts}, sort_keys=True, ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def first_break(connection: Connection) -> int | None:
    """Return the number of the first entry that the chain does not hold for, None for none."""
    before = BEGINNING
    rows = connection.execute(select(tables.audit).order_by(tables.audit.c.seq))
    for number, row in enumerate(rows, start=1):
        entry = value_of(row, AUDIT_ENTRY)
        facts = {
            "at": rfc3339(entry.at),
            "who": entry.who,
            "action": entry.action,
            "subject": entry.subject,
            "details": dict(entry.details),
        }
        if entry.seq != number or link(before, facts=facts, seq=entry.seq) != entry.digest:
            return entry.seq
        before = entry.digest
    return None


def list_entries(
    connection: Connection, *, limit: int, cursor: str | None, action: str | None = None
) -> Page[AuditEntry]:
    """Return entries, the last first."""
    query = select(tables.audit).order_by(tables.audit.c.seq.desc()).limit(limit + 1)
    if action:
        query = query.where(tables.audit.c.action == action)
    if cursor:
        query = query.where(tables.audit.c.seq < number_of(cursor))
    found = [value_of(row, AUDIT_ENTRY) for row in connection.execute(query)]
    return page_of(found, limit=limit, key=lambda entry: str(entry.seq))


def everything(connection: Connection) -> Iterator[AuditEntry]:
    """Yield all entries, the first first."""
    for row in connection.execute(select(tables.audit).order_by(tables.audit.c.seq)):
        yield value_of(row, AUDIT_ENTRY)


def entries_after(connection: Connection, *, seq: int, limit: int) -> tuple[AuditEntry, ...]:
    """Return entries that follow the one with number `seq`, the first first."""
    query = select(tables.audit).where(tables.audit.c.seq > seq).order_by(tables.audit.c.seq)
    return tuple(value_of(row, AUDIT_ENTRY) for row in connection.execute(query.limit(limit)))


def digests(connection: Connection) -> dict[int, str]:
    """Return the digest of each entry, by its number."""
    query = select(tables.audit.c.seq, tables.audit.c.digest)
    return dict(connection.execute(query).tuples().all())


def last(connection: Connection) -> AuditEntry | None:
    """Return the last entry, None for an empty log."""
    query = select(tables.audit).order_by(tables.audit.c.seq.desc()).limit(1)
    row = connection.execute(query).first()
    return value_of(row, AUDIT_ENTRY) if row else None


def heads(connection: Connection) -> tuple[AuditHead, ...]:
    """Return the heads that were signed, the first first."""
    query = select(tables.audit_heads).order_by(tables.audit_heads.c.number)
    return tuple(value_of(row, AUDIT_HEAD) for row in connection.execute(query))


def last_head(connection: Connection) -> AuditHead | None:
    """Return the head that was signed last."""
    query = select(tables.audit_heads).order_by(tables.audit_heads.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return value_of(row, AUDIT_HEAD) if row else None


def add_head(connection: Connection, *, head: AuditHead) -> None:
    """Keep a head that was signed."""
    connection.execute(
        tables.audit_heads.insert().values({**plain(head, AUDIT_HEAD), "at": head.at})
    )
