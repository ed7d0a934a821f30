"""Copies of the audit log elsewhere, as it grows: lines of JSON in a file, and syslog.

What is cut off the log in the home is in the copy still: keep it on another disk, or let it be read
by what gathers logs.
"""

import asyncio
import json
import logging
import os
import socket as network
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.store.statements.rows import AUDIT_ENTRY, plain
from runtime.values.records import AuditEntry
from wheelhouse.times import rfc3339

EVERY_S = 2.0
BATCH = 1000
AUTHPRIV_INFO = 10 * 8 + 6
"""Facility and severity (RFC 5424, 6.2.1)."""
TAIL_BYTES = 256 * 1024
log = logging.getLogger("fumehood.audit")


@dataclass(slots=True, kw_only=True)
class AuditCopy:
    """Where the log is copied to: `file` and `syslog` (a socket such as /dev/log), each or none."""

    store: Store
    file: Path | None
    syslog: Path | None
    _copied: int | None = None

    async def keep_on(self) -> None:
        """Copy what is new, from time to time, until cancelled."""
        while True:
            await self.catch_up()
            await asyncio.sleep(EVERY_S)

    async def catch_up(self) -> None:
        """Copy what is new; what cannot be written is tried again, and told."""
        if self._copied is None:
            self._copied = await asyncio.to_thread(_last_in, self.file) if self.file else 0
        try:
            while found := await self.store.run(_after, seq=self._copied):
                await asyncio.to_thread(self._write, found)
                self._copied = found[-1].seq
        except OSError as error:
            log.error("the audit log is not copied: %s", error)

    def _write(self, entries: Sequence[AuditEntry]) -> None:
        lines = [line_of(one) for one in entries]
        if self.file is not None:
            descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
        if self.syslog is not None:
            _to_syslog(lines, socket=self.syslog)


def line_of(entry: AuditEntry) -> str:
    """Return an entry as one line of JSON, as `fumehood audit export` writes it."""
    told: dict[str, Any] = {"kind": "entry", **plain(entry, AUDIT_ENTRY), "at": rfc3339(entry.at)}
    return json.dumps(told, ensure_ascii=True)


def _to_syslog(lines: Sequence[str], *, socket: Path) -> None:
    """Send lines as messages (syslog(3)): not by logging's handler, which swallows what fails."""
    with network.socket(network.AF_UNIX, network.SOCK_DGRAM) as sender:
        sender.connect(str(socket))
        for line in lines:
            sender.send(f"<{AUTHPRIV_INFO}>fumehood-audit: {line}".encode())


def _after(connection: Connection, *, seq: int) -> tuple[AuditEntry, ...]:
    return audit.entries_after(connection, seq=seq, limit=BATCH)


def _last_in(file: Path) -> int:
    """Return the number of the last whole entry in the copy, 0 for none."""
    if not file.exists():
        return 0
    with file.open("rb") as copied:
        copied.seek(max(0, file.stat().st_size - TAIL_BYTES))
        lines = copied.read().splitlines()
    for line in reversed(lines):
        try:
            return int(json.loads(line)["seq"])
        except (ValueError, KeyError, TypeError):
            continue  # broken off, or no entry
    return 0
