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
from runtime.store.databases.apart.process import Lost, Sent, WriterApart, told
from runtime.store.databases.apart.wire import Answer, ended_as, mark_of
from runtime.store.databases.group_commit import GroupCommit
from runtime.store.databases.units import Ended, Writer, called, is_of_each_job

AGAIN_S = 60.0
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
        """Find out whether what it had in hand was committed; do it here if not."""
        try:
            answer = await lost.answer
            if await self._thread.add(mark_of) == lost.number:
                told(lost.in_hand, _kept(answer, number=lost.number))
                return
            for one in lost.in_hand:
                self._run_here(one)
        except BaseException as error:
            told(lost.in_hand, [Ended(error=error) for _ in lost.in_hand])
            raise


def _kept(answer: Answer | None, *, number: int) -> Sequence[Ended]:
    """Return what came of a group that was committed, and whose answer did not come."""
    if answer is None or answer[0] != number or answer[1] is None:
        raise RuntimeError("a group was committed, and what came of it is not known")
    return ended_as(answer[1])
