"""A store in threads: one that writes and commits in groups, and some that read beside it.

Each thread that reads keeps its connection: to have one anew costs as much as a question.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, Protocol

from sqlalchemy import Connection

from runtime.store.databases.units import Writer, called
from runtime.store.databases.writers import Start, Writers


class Reader(Protocol):
    """A connection that changes nothing; used by one thread."""

    def ask[T](self, question: Callable[[Connection], T]) -> T:
        """Return what `question(connection)` returns, of one moment."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class ThreadedStore:
    """A `Store` of a writer, and of at most `most` readers, each made by `new_reader`.

    What is written for each job may be written by a process that `start` starts.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        new_reader: Callable[[], Reader],
        most: int,
        start: Start | None = None,
    ) -> None:
        self._writers = Writers(writer, start=start)
        self._new_reader = new_reader
        self._at_hand = threading.local()
        self._made: list[Reader] = []
        self._readers = ThreadPoolExecutor(most, thread_name_prefix="fumehood-reader")

    async def run[**P, T](
        self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `act(connection, …)` in a transaction; a cancelled caller does not undo it."""
        return await self._writers.add(act, args, kwargs)

    async def read[**P, T](
        self, ask: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `ask(connection, …)`, which changes nothing, beside the writer."""
        work = partial(self._read, partial(called, ask, args, kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def _read[T](self, question: Callable[[Connection], T]) -> T:
        reader: Reader | None = getattr(self._at_hand, "reader", None)
        if reader is None:
            reader = self._at_hand.reader = self._new_reader()
            self._made.append(reader)
        return reader.ask(question)

    async def close(self) -> None:
        """Finish what is under way and let go of the database."""
        await asyncio.to_thread(self._close_readers)
        await self._writers.close()

    def _close_readers(self) -> None:
        self._readers.shutdown(wait=True)
        for reader in self._made:
            reader.close()
