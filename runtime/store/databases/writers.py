"""Who writes into a store: a thread, and for what comes with every job a process beside it.

The process is started once jobs come thick and fast. Both take the database's own lock, so it does
not matter which of the two writes what.
"""

import asyncio
import logging
import pickle
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from runtime.store.databases.apart.pace import Pace
from runtime.store.databases.apart.process import Lost, Sent, WriterApart
from runtime.store.databases.apart.wire import Receipt
from runtime.store.databases.group_commit import GroupCommit
from runtime.store.databases.units import Ended, Writer, called, is_of_each_job

AGAIN_S = 10.0
"""After how long a process is started again where one has ended."""
UNPICKLABLE = (pickle.PicklingError, TypeError, AttributeError, RecursionError)
log = logging.getLogger("fumehood.store")


class Start(Protocol):
    """Starts a process that writes: see `apart.process.start`."""

    def __call__(
        self,
        *,
        acts: Sequence[Callable[..., Any]],
        on_lost: Callable[[Lost], None],
        on_not_here: Callable[[Sent], None],
    ) -> Awaitable[WriterApart]:
        """Return it once it can write."""
        ...


class Writers:
    """The thread that writes through `writer`, and the process that `start` starts, if any."""

    def __init__(self, writer: Writer, *, start: Start | None = None) -> None:
        self._thread = GroupCommit(writer)
        self._start = start
        self._apart: WriterApart | None = None
        self._acts: set[Callable[..., Any]] = set()
        self._pace = Pace()
        self._tasks: set[asyncio.Task[None]] = set()
        self._not_before_s = 0.0

    def add(
        self, act: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> asyncio.Future[Any]:
        """Have `act(connection, …)` run in the next transaction; return what it will return."""
        unit = partial(called, act, args, kwargs)
        if self._start is not None and is_of_each_job(act):
            if self._apart is None:
                self._note(act)
            elif self._apart.loop is asyncio.get_running_loop():
                with suppress(*UNPICKLABLE):
                    return self._apart.add(pickle.dumps((act, args, kwargs)), unit)
        return self._thread.add(unit)

    async def close(self) -> None:
        """Finish what is under way."""
        self._start = None
        while self._tasks or self._apart is not None:
            if self._apart is not None:
                await self._apart.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._thread.close)

    def _note(self, act: Callable[..., Any]) -> None:
        """Note what could be written apart; start a process once that is much."""
        self._acts.add(act)
        loop = asyncio.get_running_loop()
        if self._pace.note(loop.time()) and not self._tasks and loop.time() > self._not_before_s:
            self._begin(self._move_out())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _move_out(self) -> None:
        if self._start is None:
            return
        self._not_before_s = asyncio.get_running_loop().time() + AGAIN_S
        try:
            self._apart = await self._start(
                acts=tuple(self._acts), on_lost=self._lost, on_not_here=self._run_here
            )
        except Exception:
            log.warning("no process to write could be started; a thread writes", exc_info=True)
        else:
            log.info("many jobs come: process %d writes them", self._apart.pid)

    def _run_here(self, sent: Sent) -> None:
        self._thread.put(sent.unit, sent.future)

    def _lost(self, lost: Lost) -> None:
        """Do here what a process has left."""
        if self._apart is not None and self._start is not None:
            log.warning("the process that writes has ended; a thread writes until there is another")
        self._apart = None
        if lost.in_hand:
            self._begin(self._settle(lost))
        for one in lost.waiting:
            self._run_here(one)

    async def _settle(self, lost: Lost) -> None:
        """Have it found out whether what it had in hand was committed, and done here if not.

        No other process is started meanwhile: its receipts could be taken for these.
        """
        kept = await lost.kept
        if kept is None or kept.number != lost.number:  # it never came to a commit
            for one in lost.in_hand:
                self._run_here(one)
        else:
            units = [(one.unit, one.future) for one in lost.in_hand]
            self._thread.settle(units, ended=self._ended(kept, of=lost), receipt=kept.receipt)
        await asyncio.wait([one.future for one in lost.in_hand])

    def _ended(self, kept: Receipt, *, of: Lost) -> list[Ended]:
        """Return what is told of units that were committed.

        A process that was started after an upgrade has the code of another release: what it says
        may not be read here, and what it wrote is not written again for that.
        """
        try:
            return kept.ended()
        except Exception as error:
            log.exception("what the process that writes says cannot be read; none is started again")
            self._start = None
            unread = RuntimeError("it was written, and what came of it cannot be read")
            unread.__cause__ = error
            return [Ended(error=unread) for _ in of.in_hand]
