"""Commits together what waits together: one transaction for all units of work that have come.

While one group is committed the next one gathers: nobody waits for a timer, and under load a
commit is paid once for many. One unit that raises takes back its own changes only.

Where the answer to a commit is lost, its units wait until the database says whether it was kept,
and run again where it was not: to tell them that nobody knows made whoever counted or appended
count and append twice.
"""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from frozen.values import frozen
from runtime.store.databases.units import Ended, InDoubt, Unit, Writer

MOST_TOGETHER = 64
"""So that the first of a group does not wait for hundreds of others."""
ASK_AGAIN_S = 0.25
"""How long after a question that could not be asked, where nothing is written meanwhile."""


@frozen
class _Waiting:
    """A unit of work, and who waits for what comes of it."""

    unit: Unit
    future: asyncio.Future[Any]


@frozen
class _Doubtful:
    """A group that another writer may have committed."""

    group: list[_Waiting]
    doubt: InDoubt


class GroupCommit:
    """The one thread that writes, through `writer`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._queue: SimpleQueue[_Waiting | _Doubtful | None] = SimpleQueue()
        self._doubts: list[tuple[list[_Waiting], InDoubt]] = []
        # A daemon: a process that was not closed in order shall end all the same, and what was
        # not committed then is as if it had never begun.
        self._thread = Thread(target=self._serve, name="fumehood-store", daemon=True)
        self._thread.start()

    def add(self, unit: Unit) -> asyncio.Future[Any]:
        """Let `unit(connection)` run in the next transaction; return what it will return."""
        future = asyncio.get_running_loop().create_future()
        self.put(unit, future)
        return future

    def put(self, unit: Unit, future: asyncio.Future[Any]) -> None:
        """Let `unit(connection)` run in the next transaction, and `future` tell what came of it."""
        self._queue.put(_Waiting(unit=unit, future=future))

    def settle(
        self, units: Iterable[tuple[Unit, asyncio.Future[Any]]], *, ended: list[Ended], receipt: str
    ) -> None:
        """Tell those who wait what came of their units if a transaction was kept; else run them.

        It was another writer's, of which no more is heard.
        """
        group = [_Waiting(unit=unit, future=future) for unit, future in units]
        unknown = RuntimeError("nobody can tell whether what was written was kept")
        was_kept = partial(self._writer.became_of, receipt)
        doubt = InDoubt(ended, was_kept=was_kept, as_error=unknown)
        self._queue.put(_Doubtful(group=group, doubt=doubt))

    def close(self) -> None:
        """Commit what was added before, and end. Blocks meanwhile."""
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (group := self._next_group()) is not None:
            self._settle_doubts()
            if group:
                self._commit(group)
        for group, doubt in self._doubts:
            _hand_out(group, [Ended(error=doubt.as_error) for _ in group])
        self._writer.close()

    def _next_group(self) -> list[_Waiting] | None:
        """Return what waits; nothing after a while where there are doubts, None at the end."""
        try:
            first = self._queue.get(timeout=ASK_AGAIN_S if self._doubts else None)
        except Empty:
            return []
        if isinstance(first, _Doubtful):
            self._doubts.append((first.group, first.doubt))
            return []
        return None if first is None else [first, *self._others()]

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            ended = self._writer.commit([one.unit for one in group])
        except InDoubt as doubt:
            self._doubts.append((group, doubt))
            return
        except BaseException as error:  # told to who waits; the next group tries again
            ended = [Ended(error=error) for _ in group]
        _hand_out(group, ended)

    def _settle_doubts(self) -> None:
        """Tell those who wait for a lost answer, or run them again, as far as that is known."""
        doubts, self._doubts = self._doubts, []
        for number, (group, doubt) in enumerate(doubts):
            was_kept = doubt.was_kept()
            if was_kept is None:  # nor can the others be asked about
                self._doubts += doubts[number:]
                return
            if was_kept:
                _hand_out(group, doubt.ended)
            else:
                self._commit(group)

    def _others(self) -> Iterable[_Waiting]:
        for _ in range(MOST_TOGETHER - 1):
            try:
                one = self._queue.get_nowait()
            except Empty:
                return
            if not isinstance(one, _Waiting):
                self._queue.put(one)  # what was added before the end is in this group
                return
            yield one


def _hand_out(group: Sequence[_Waiting], ended: Sequence[Ended]) -> None:
    """Tell each event loop at once what came of its units."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Ended]]] = {}
    for one, its_end in zip(group, ended, strict=True):
        by_loop.setdefault(one.future.get_loop(), []).append((one.future, its_end))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(resolve, pairs)
        except RuntimeError:
            continue  # that loop is closed, and nobody waits in it


def resolve(pairs: Iterable[tuple[asyncio.Future[Any], Ended]]) -> None:
    """Tell those who wait in this event loop what came of their units."""
    for future, ended in pairs:
        if future.done():
            continue  # who waited was cancelled; what was committed stays so
        if ended.error is not None:
            future.set_exception(ended.error)
        else:
            future.set_result(ended.value)
