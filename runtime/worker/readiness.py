"""Whether the appliance can work now, and which part of it cannot: for /readyz."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, update

from frozen.values import frozen
from runtime.faults.errors import DiskFull, HomeReadOnly, RuntimeFault, StoreBusy
from runtime.faults.outages import MENDS, outage_of
from runtime.store.databases.store import Store
from runtime.store.schema import tables
from runtime.worker.signs_of_life import Living
from wheelhouse.problem import Problem

LEAST_FREE_BYTES = 1 << 20
"""With less room than that, no job can leave anything."""
LOOKED_FOR_S = 1.0
"""How long a look holds: anybody may ask, and nobody shall keep the writer busy by it."""
ANSWER_WITHIN_S = 3.0
"""A probe that waits for longer has failed anyway; a locked database would hold it for 10 s."""
NO_WORKER = Problem(
    code="no-worker",
    what="no worker is alive",
    where="workers",
    mend="start one: `fumehood worker`",
)


@dataclass(slots=True)
class _Looked:
    """What the last look found, and when that was."""

    at_s: float = float("-inf")
    problems: tuple[Problem, ...] = ()
    workers: int = 0


@frozen
class Readiness:
    """Tries each part that a job needs: the home, the database by a write, and a worker."""

    store: Store
    home: Path
    living: Living
    steady: Callable[[], float] = field(default=time.monotonic)
    _looked: _Looked = field(default_factory=_Looked)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> tuple[tuple[Problem, ...], int]:
        """Return what keeps the appliance from working, and how many workers are alive."""
        async with self._looking:
            if self.steady() - self._looked.at_s >= LOOKED_FOR_S:
                self._looked.problems, self._looked.workers = await self._look()
                self._looked.at_s = self.steady()
        return self._looked.problems, self._looked.workers

    async def _look(self) -> tuple[tuple[Problem, ...], int]:
        found = {one.code: one for one in await asyncio.to_thread(_of_home, self.home)}
        workers = frozenset[str]()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self.store.run(_write_nothing)
                workers = await self.living.workers()
        except TimeoutError:
            found.setdefault(StoreBusy.code, _problem(StoreBusy, where="the database"))
        except Exception as error:
            outage = outage_of(error)
            if outage is None:
                raise
            found.setdefault(outage.code, _problem(type(outage), where="the database"))
        if not workers and not found:
            found["no-worker"] = NO_WORKER
        return tuple(found.values()), len(workers)


def _of_home(home: Path) -> Iterator[Problem]:
    """Yield what is wrong with the file system of the home: statvfs(3)."""
    there = os.statvfs(home)
    if there.f_flag & os.ST_RDONLY:
        yield _problem(HomeReadOnly, where=str(home))
    elif there.f_bavail * there.f_frsize < LEAST_FREE_BYTES:
        yield _problem(DiskFull, where=str(home))


def _problem(kind: type[RuntimeFault], *, where: str) -> Problem:
    what = (kind.__doc__ or "").splitlines()[0]
    return Problem(code=kind.code, what=what, where=where, mend=MENDS[kind])


def _write_nothing(connection: Connection) -> None:
    """Write as others do, and change nothing."""
    name = tables.counters.c.name
    connection.execute(update(tables.counters).values(name=name).where(name == "jobs-queued"))
