"""The forks of one warm cell: those kept ready, how each is killed, what is said of their ends."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from frozen.values import frozen
from sandbox.cells.cell import Cell
from sandbox.cells.kind import CellKind
from sandbox.errors import CellLostError, CellTamperedError
from sandbox.kernel import procfs
from sandbox.kernel.process import Exit
from sandbox.kernel.waiting import resolve, until_dead, until_done

_KILL_S = 2.0
KILLED = Exit(code=-signal.SIGKILL)
"""How one ended of which nobody can tell."""


@dataclass(slots=True)
class Forks:
    """Forks by the names of their runs."""

    _on_end: Callable[[], None] | None = None
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

    def call_at_ends(self, call: Callable[[], None]) -> None:
        """Have `call` called whenever one has ended, in the place of what was."""
        self._on_end = call

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
        if self._on_end is not None:
            self._on_end()

    def end_all(self, how: Exit) -> None:
        """Note that all ended like this, and so did those that are asked for."""
        for run in [*self._alive, *self._asked]:
            self.end(run, how)

    async def wait_until_none(self) -> None:
        """Wait until none is alive."""
        while self._alive:
            self._fewer = asyncio.get_running_loop().create_future()
            await self._fewer


class Forker(Protocol):
    """The warm cell of a fork, as far as its forks need it."""

    @property
    def kind(self) -> CellKind:
        """Which kind of cell it is."""
        ...

    @property
    def warden_pid(self) -> int:
        """The process that makes the forks and reaps them."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and all its forks with it."""
        ...

    @property
    def shows_ends(self) -> bool:
        """Whether forks show us their ends, so that nothing need be told of most of them."""
        ...

    def ask_how(self, run: str) -> None:
        """Ask the warden how a run ended. Raises CellLostError."""
        ...

    async def end(self) -> None:
        """Kill it, with all its forks."""
        ...


@frozen
class Fork:
    """The processes of one fork."""

    run: str
    ended: "asyncio.Future[Exit]"
    """How it ended, by its warden, if that says so."""
    forks: Forks
    forker: Forker

    @property
    def shows_its_end(self) -> bool:
        """Whether its end need not be told."""
        return self.forker.shows_ends

    @property
    def is_orphaned(self) -> bool:
        """Whether it fell with its warm cell."""
        return self.forker.is_over

    def top(self, pid: int, status: str) -> int:
        """Return the process whose end is that of all that the fork may have started."""
        return self.forker.kind.top_of_fork(pid, status, warden_pid=self.forker.warden_pid)

    async def kill(self, pidfd: int) -> bool:
        """Kill it by its pidfd, whatever is said of its end; failing that, everything."""
        if await self._has_died(pidfd):
            self.forks.be_over(self.run)
            return self.shows_its_end and pidfd >= 0
        await self.forker.end()
        self.forks.end(self.run, KILLED)
        is_dead = pidfd >= 0 and await until_dead(pidfd, timeout_s=_KILL_S)
        return is_dead and self.shows_its_end

    async def exit(self) -> Exit:
        """Return how it ended, once it has; the warm cell is asked, which reaps it."""
        if not self.ended.done() and not self.forker.is_over:
            self.forks.ask(self.run, self.ended)
            with contextlib.suppress(CellLostError):
                self.forker.ask_how(self.run)
                await until_done(self.ended, timeout_s=_KILL_S)
        return self.ended.result() if self.ended.done() else KILLED

    async def _has_died(self, pidfd: int) -> bool:
        """Kill it, and say whether it is dead: one that came to no hello has to be told of.

        What is left of it without namespaces, the warden ends.
        """
        if pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if pidfd < 0 or not self.shows_its_end:
            await self.exit()
            if pidfd < 0 or not self.ended.done():
                return self.ended.done()
        return await until_dead(pidfd, timeout_s=_KILL_S)


@dataclass(slots=True)
class Spare:
    """A fork that was ordered: welcomed when it is taken, or before where there is time.

    To wait for a hello takes longer than to read it, and where runs follow each other closely
    it is there when it is wanted.
    """

    welcome: Callable[[], Awaitable[Cell]]
    """Waits until it has shut its walls."""
    _welcomed: "asyncio.Task[Cell] | None" = None

    def begin(self) -> None:
        """Begin to welcome it."""
        if self._welcomed is None:
            self._welcomed = asyncio.create_task(self._wait())

    async def ready(self) -> Cell:
        """Return it with its walls shut, to the one who took it from among the spares.

        Raises CellUnstartableError, CellLostError, CellTamperedError.
        """
        if self._welcomed is None:
            return await self.welcome()
        cell = await self._welcomed
        if procfs.children(cell.hello.pid):
            await cell.close()
            raise CellTamperedError(
                "a fork has started other processes before its run",
                mend="see what the package's import does; its runs start cold",
            )
        cell.resume()
        return cell

    async def _wait(self) -> Cell:
        cell = await self.welcome()
        cell.pause()
        return cell
