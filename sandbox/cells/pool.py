"""The pool of warm cells: bounded in number and memory, least recently used leaves first."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from frozen.values import changed, frozen
from sandbox.cells import warm
from sandbox.cells.cell import Cell
from sandbox.cells.forks import Spare
from sandbox.cells.launcher import Launcher
from sandbox.cells.warm import WarmCell
from sandbox.command import ColdReason, Command
from sandbox.errors import CellLostError, ForkRefusedError, SandboxError
from sandbox.limits import MIB

_MOST_LOST = 3
_ATTEMPTS = 2
"""How often a fork is asked for, beside the spares, that may have been refused long ago."""
_UNMOVED = 128
"""Forks that may wait in a warm cell's leaf, all at once, to be moved to their own."""
_LONG_RUN_S = 0.02
"""A run that takes longer does not hold back the next spare, nor a spare its welcome."""
_OVERLAPPING_S = 0.25
"""For how long runs count as overlapping after two have: those of two slots miss each other now and
then, and the one after found no spare, which took it 10 ms."""
_CLOSED = "the sandbox is closed"


@frozen
class PoolBounds:
    """How many warm cells, how much memory (PSS, MiB) they may hold, and when one is renewed."""

    cells: int = 16
    memory_mb: int = 2048
    runs_per_cell: int = 10_000
    minutes_per_cell: float = 30.0
    preload_s: float = 60.0
    """How long an import may take; the run's own wall_s, where that is less."""
    patience_s: float = 10.0
    """How long a run waits for an import before it starts cold instead."""
    spares: int = 4
    """Forks kept ready beside the running ones where runs overlap; one where they do not."""


@dataclass(slots=True, kw_only=True)
class _PoolEntry:
    """A place in the pool: the warm cell, its spares, or why there is none."""

    started: "asyncio.Task[WarmCell | ColdReason]"
    """Ends with the warm cell, or with why there is none."""
    is_wanted: "asyncio.Future[bool]"
    """True as soon as it shall import, False if it never shall."""
    since: float
    taken: int = 0
    overlapped_s: float = 0.0
    """When a run was last begun while another one was under way."""
    spares: list[Spare] = field(default_factory=list[Spare])
    is_looked_at: bool = False
    """Whether its spares will be welcomed if nobody takes them soon."""
    successor: "_PoolEntry | None" = None
    """Takes its place as soon as it is warm."""


@dataclass(slots=True, kw_only=True)
class Pool:
    """Warm cells by what makes two runs fit for the same one."""

    launcher: Launcher
    bounds: PoolBounds
    _entries: "OrderedDict[_Family, _PoolEntry]" = field(
        default_factory=OrderedDict["_Family", _PoolEntry]
    )
    _lost: "dict[_Family, int]" = field(default_factory=dict["_Family", int])
    _tidying: "set[asyncio.Task[None]]" = field(default_factory=set["asyncio.Task[None]"])
    _is_closed: bool = False
    _importing: "set[asyncio.Task[ColdReason | None]]" = field(
        default_factory=set["asyncio.Task[ColdReason | None]"]
    )

    async def take(
        self, command: Command, *, cancelled: asyncio.Event | None = None
    ) -> Cell | ColdReason:
        """Return a ready fork for `command`, or why it has to start cold."""
        family = _family(command)
        reason = ColdReason("")
        for _ in range(_ATTEMPTS + self.bounds.spares):
            known = self._entries.get(family)
            entry = self._entry(family)
            # The first one would wait for an import that it has done as soon by itself; those that
            # come while it runs wait, lest all of them import.
            if entry is not known and _may_begin_cold(command):
                return ColdReason("its warm cell is made when it has ended")
            _decide(entry.is_wanted, is_wanted=True)
            if not await _has_started(entry, self.bounds.patience_s, cancelled):
                return ColdReason("its warm cell is still importing")
            warm_cell = entry.started.result()
            if isinstance(warm_cell, ColdReason):
                return warm_cell
            if not warm_cell.is_free:
                return ColdReason("its warm cell has another run, and there are no namespaces")
            entry.taken += 1
            try:
                cell = await self._fork(entry, warm_cell)
                self._lost.pop(family, None)
                return cell
            except SandboxError as fault:
                reason = ColdReason(f"no fork: {fault.what}")
                if self._is_hopeless(family, fault):
                    self._retire(family, entry, unfit=reason)
                    return reason
        return reason

    def warm_up(self, command: Command) -> None:
        """Import for whoever comes next, now that the first run of its kind has ended.

        Beside it the import took from both: with pandas, on two processors, the run came to 1.3 to
        1.8 times what it takes alone.
        """
        entry = self._entries.get(_family(command))
        if entry is not None:
            _decide(entry.is_wanted, is_wanted=True)

    def _is_hopeless(self, family: "_Family", fault: SandboxError) -> bool:
        """Say whether to stop trying: a fork that dies may be bad luck, three in a row are not.

        One that the kernel refused has no part in it: too much goes on at once.
        """
        if isinstance(fault, ForkRefusedError):
            return False
        self._lost[family] = self._lost.get(family, 0) + 1
        return not isinstance(fault, CellLostError) or self._lost[family] > _MOST_LOST

    async def close(self) -> None:
        """End every warm cell, also those that only begin to be."""
        self._is_closed = True
        for key, entry in list(self._entries.items()):
            self._retire(key, entry)
        for importing in self._importing:
            importing.cancel()
        while self._tidying:
            await asyncio.gather(*self._tidying)

    def _entry(self, family: "_Family") -> _PoolEntry:
        entry = self._entries.get(family)
        if entry is not None and _is_dead(entry):
            self._retire(family, entry)
            entry = None
        if entry is None:
            entry = self._entries[family] = self._new_entry(family)
        elif self._is_spent(entry):
            entry = self._renewed(family, entry)
        self._entries.move_to_end(family)
        self._make_room()
        return entry

    def _new_entry(self, family: "_Family") -> _PoolEntry:
        is_wanted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        started = asyncio.create_task(self._start_once(is_wanted, family))
        return _PoolEntry(started=started, is_wanted=is_wanted, since=time.monotonic())

    def _is_spent(self, entry: _PoolEntry) -> bool:
        age_s = time.monotonic() - entry.since
        return age_s > self.bounds.minutes_per_cell * 60 or entry.taken >= self.bounds.runs_per_cell

    def _renewed(self, family: "_Family", entry: _PoolEntry) -> _PoolEntry:
        """Let a successor start, while runs go on as before, and have the place when it is warm."""
        if entry.successor is None:
            entry.successor = self._new_entry(family)
            _decide(entry.successor.is_wanted, is_wanted=True)
        if not entry.successor.started.done():
            return entry
        successor, entry.successor = entry.successor, None
        self._retire(family, entry)
        self._entries[family] = successor
        return successor

    async def _start_once(
        self, is_wanted: "asyncio.Future[bool]", family: "_Family"
    ) -> WarmCell | ColdReason:
        """Start it when it is wanted; beside the first run, if that takes as long as that."""
        await asyncio.wait((is_wanted,), timeout=self.bounds.patience_s)
        if is_wanted.done() and not is_wanted.result():
            return ColdReason(_CLOSED)
        return await self._start(family)

    async def _start(self, family: "_Family") -> WarmCell | ColdReason:
        number = self.launcher.next_number()
        leaf = None
        try:
            limits = family.command.limits
            roomy = replace(limits, processes=limits.processes + _UNMOVED)
            leaf = self.launcher.leaves.make(roomy)
            warm_cell = await warm.start(family.command, self.launcher, number=number, leaf=leaf)
        except SandboxError as fault:
            if leaf is not None:
                leaf.kill()
                leaf.remove()
            return ColdReason(f"no warm cell: {fault.what}")
        most_s = min(self.bounds.preload_s, family.command.limits.wall_s)
        unfit = await self._import(warm_cell, most_s=most_s)
        if unfit is not None:
            await warm_cell.close()
            return unfit
        return warm_cell

    async def _import(self, warm_cell: WarmCell, *, most_s: float) -> ColdReason | None:
        """Let it import; return why it is unfit to be forked, or None.

        Whoever closes the pool ends what imports: a hung one held up the end of a worker for all
        the time that an import may take.
        """
        if self._is_closed:  # while its process was started
            return ColdReason(_CLOSED)
        importing = asyncio.create_task(warm_cell.warm_up(preload_s=most_s))
        self._importing.add(importing)
        try:
            await asyncio.wait((importing,))
        finally:
            importing.cancel()  # nothing is done where it is over
            self._importing.discard(importing)
        return ColdReason(_CLOSED) if importing.cancelled() else importing.result()

    async def _fork(self, entry: _PoolEntry, warm_cell: WarmCell) -> Cell:
        """Take a spare if one is ready, and see that there is one for the next run.

        A fork holds up its warm cell, which also has to reap the run that ends: with pandas
        in memory for 3.5 ms. So the next spare waits for the run's end, unless runs overlap.
        """
        if not entry.spares:
            self._replenish(entry, warm_cell, wanted=1)
        if not entry.spares:
            raise CellLostError("the warm cell ended", mend="the run is started again")
        taken = entry.spares.pop(0)
        if not warm_cell.is_free:
            return await taken.ready()
        now_s = time.monotonic()
        if len(warm_cell.forks) > len(entry.spares) + 1:
            entry.overlapped_s = now_s
        if now_s - entry.overlapped_s < _OVERLAPPING_S:
            for spare in entry.spares:  # by now most have said hello
                spare.begin()
            self._have_spares(entry, warm_cell, wanted=self.bounds.spares)
        elif self.bounds.spares:
            one_more = partial(self._have_spares, entry, warm_cell, wanted=1)
            asyncio.get_running_loop().call_later(_LONG_RUN_S, one_more)
            warm_cell.forks.call_at_ends(one_more)
        return await taken.ready()

    def _have_spares(self, entry: _PoolEntry, warm_cell: WarmCell, *, wanted: int) -> None:
        """Replenish for later: what keeps us from it is told to whoever finds no spare."""
        with contextlib.suppress(SandboxError):
            self._replenish(entry, warm_cell, wanted=wanted)

    def _replenish(self, entry: _PoolEntry, warm_cell: WarmCell, *, wanted: int) -> None:
        while warm_cell.is_alive and len(entry.spares) < wanted:
            entry.spares.append(Spare(partial(warm_cell.welcome, warm_cell.order())))
        if entry.spares and not entry.is_looked_at:
            entry.is_looked_at = True
            asyncio.get_running_loop().call_later(_LONG_RUN_S, self._welcome, entry)

    def _welcome(self, entry: _PoolEntry) -> None:
        """Welcome the spares that nobody has taken: the next run may come long after."""
        entry.is_looked_at = False
        for spare in entry.spares:
            spare.begin()

    def _make_room(self) -> None:
        """Let the least recently used leave until number and memory are within bounds."""
        for family, entry in list(self._entries.items())[:-1]:
            if not self._is_crowded():
                return
            self._retire(family, entry)

    def _is_crowded(self) -> bool:
        held = sum(cell.pss_bytes for entry in self._entries.values() if (cell := _result(entry)))
        return len(self._entries) > self.bounds.cells or held > self.bounds.memory_mb * MIB

    def _retire(
        self, family: "_Family", entry: _PoolEntry, *, unfit: ColdReason | None = None
    ) -> None:
        """Let a entry go, once: runs beside each other may all find that it is hopeless."""
        if self._entries.get(family) is not entry:
            return
        del self._entries[family]
        _decide(entry.is_wanted, is_wanted=False)
        if unfit is not None:
            nothing: asyncio.Task[WarmCell | ColdReason] = asyncio.create_task(_found(unfit))
            self._entries[family] = _PoolEntry(
                started=nothing, is_wanted=entry.is_wanted, since=time.monotonic()
            )
        task = asyncio.create_task(self._let_go(entry))
        self._tidying.add(task)
        task.add_done_callback(self._tidying.discard)

    async def _let_go(self, entry: _PoolEntry) -> None:
        """Close the spares, wait for the runs, then end the warm cell; and its successor's."""
        warm_cell = await entry.started
        if not isinstance(warm_cell, ColdReason):
            warm_cell.retire()
            while entry.spares:
                with contextlib.suppress(SandboxError):
                    await (await entry.spares.pop().ready()).close()
            await warm_cell.forks.wait_until_none()
            await warm_cell.close()
        if entry.successor is not None:
            await self._let_go(entry.successor)


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """What commands must share to be forked from one warm cell, hashed once."""

    command: Command
    _hash: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Family) and self.command == other.command

    def __hash__(self) -> int:
        return self._hash


def _family(command: Command) -> _Family:
    """Return the command with all blanked that differs between runs; the rest is hashable."""
    shared = changed(
        command,
        target="",
        handle="",
        inputs=(),
        facts=_NOTHING,
        arguments=_NOTHING,
        answers=_NOTHING,
        variables=_Frozen(command.variables),
        secrets=_NOTHING,
        warmth=command.warmth and changed(command.warmth, may_begin_cold=False),
    )
    return _Family(shared, hash(shared))


def _decide(future: "asyncio.Future[bool]", *, is_wanted: bool) -> None:
    """Say whether something is wanted, unless that has been said."""
    if not future.done():
        future.set_result(is_wanted)


def _may_begin_cold(command: Command) -> bool:
    return command.warmth is not None and command.warmth.may_begin_cold


class _Frozen(dict[str, Any]):
    """A mapping that can be part of a key; nobody changes it."""

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return hash(frozenset(self.items()))


_NOTHING = _Frozen()


async def _has_started(
    entry: _PoolEntry, patience_s: float, cancelled: asyncio.Event | None
) -> bool:
    """Wait for the warm cell, but not for ever, nor for a run that is cancelled meanwhile."""
    if entry.started.done() or not patience_s:
        return entry.started.done()
    waits: set[asyncio.Task[Any]] = {entry.started}
    if cancelled is not None:
        waits.add(asyncio.create_task(cancelled.wait()))
    await asyncio.wait(waits, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
    for task in waits - {entry.started}:
        task.cancel()
    return entry.started.done()


async def _found(why: ColdReason) -> WarmCell | ColdReason:
    return why


def _result(entry: _PoolEntry) -> WarmCell | None:
    if entry.started.done() and not entry.started.cancelled() and not entry.started.exception():
        result = entry.started.result()
        return None if isinstance(result, ColdReason) else result
    return None


def _is_dead(entry: _PoolEntry) -> bool:
    warm_cell = _result(entry)
    return warm_cell is not None and not warm_cell.is_alive
