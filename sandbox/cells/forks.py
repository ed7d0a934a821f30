"""The forks of one warm cell: which are alive, and what is said of their ends."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.cgroups.migration import resolve
from sandbox.kernel.process import Exit


@dataclass(slots=True)
class Forks:
    """Forks by the names of their runs."""

    on_end: Callable[[], None] | None = None
    """Called when one has ended."""
    _alive: "dict[str, asyncio.Future[Exit]]" = field(
        default_factory=dict[str, "asyncio.Future[Exit]"]
    )
    _asked: "dict[str, asyncio.Future[Exit]]" = field(
        default_factory=dict[str, "asyncio.Future[Exit]"]
    )
    _fewer: "asyncio.Future[None] | None" = None

    def __len__(self) -> int:
        """Return how many are alive, spares included."""
        return len(self._alive)

    def begin(self, run: str) -> "asyncio.Future[Exit]":
        """Note that one is ordered; the future tells how it ended, if anybody says so."""
        ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._alive[run] = ended
        return ended

    def forget(self, run: str) -> None:
        """Note that it was never born."""
        self._alive.pop(run, None)

    def ask(self, run: str, ended: "asyncio.Future[Exit]") -> None:
        """Note that its end is asked for, which may be told when it is over already."""
        self._asked[run] = ended

    def is_awaited(self, run: str) -> bool:
        """Say whether anything may be told of it."""
        return run in self._alive or run in self._asked

    def end(self, run: str, how: Exit) -> None:
        """Note how it ended, unless that is known."""
        asked = self._asked.pop(run, None)
        ended = self._alive.get(run, asked)
        if ended is not None and not ended.done():
            ended.set_result(how)
        self.be_over(run)

    def be_over(self, run: str) -> None:
        """Note that it is dead, however it ended."""
        if self._alive.pop(run, None) is None:
            return
        resolve(self._fewer, None)
        if self.on_end is not None:
            self.on_end()

    def end_all(self, how: Exit) -> None:
        """Note that all ended like this, and so did those that are asked for."""
        for run in [*self._alive, *self._asked]:
            self.end(run, how)

    async def wait_until_none(self) -> None:
        """Wait until none is alive."""
        while self._alive:
            self._fewer = asyncio.get_running_loop().create_future()
            await self._fewer
