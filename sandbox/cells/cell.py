"""A Cell: one process tree behind walls, started cold, ready for exactly one run.

A warm cell's forks (warm.py) are cells of the same kind: from here on nobody needs to know
how a cell came to be.
"""

import asyncio
import contextlib
import os
import select
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox import protocol
from sandbox.cells import inspection, run_folder
from sandbox.cgroups.leaf import Leaf
from sandbox.cgroups.migration import Migrator, resolve
from sandbox.command import HostLibrary
from sandbox.errors import (
    CellLostError,
    CellTamperedError,
    CellUnstartableError,
    ForkRefusedError,
)
from sandbox.kernel import procfs
from sandbox.kernel.process import Exit
from sandbox.walls.layout import Layout

_COLD_HELLO_S = 30.0
FORK_HELLO_S = 5.0
_DEATH_S = 2.0
_DYING_S = 0.2
"""How long a fork that looks wrong has to die: one on its way to that has no descriptors left."""
_START_LOG_BYTES = 8192
_OWN_AND_HOST = 2
_TELL_WHERE = 62
"""See inside/cold.py."""
_UNBORN = 71
"""How a fork ended, by its warden, that the kernel did not make (EX_OSERR, sysexits.h)."""
_HELLO_SPACE = socket.CMSG_SPACE(8 * 4) + socket.CMSG_SPACE(12)


@dataclass(slots=True, kw_only=True)
class Cell:
    """A process that has shut its walls and waits for its one run.

    `folders` is the run's own host folder (its inputs, and without namespaces its scratch and
    outputs too).
    """

    layout: Layout
    channel: socket.socket
    stdout_fd: int
    stderr_fd: int
    kill: Callable[[], Awaitable[object]]
    """Kills the whole tree."""
    tell: Callable[[], Awaitable[Exit]]
    """Returns how the run's process ended, once it has."""
    folder: Path
    give_back: "Callable[[Cell], None]"
    """Removes the host folder, or empties it for the next run."""
    migrator: Migrator
    has_inputs: bool = False
    """Whether inputs were placed in its folder."""
    leaf: Leaf | None = None
    tree_pid: int = 0
    """The process below which everything of the cell is: what the watchdog watches."""
    pid: int = 0
    pidfd: int = -1
    output_fd: int = -1
    scratch_fd: int = -1
    start: Literal["cold", "warm"] = "cold"
    start_reason: str = ""
    parent: "asyncio.Future[Exit] | None" = None
    """The end of the warm cell that this one was forked from."""
    shows_its_end: bool = False
    """Whether the kernel shows us all: a pid namespace dies with its first process, a cgroup
    counts what it took. Else somebody has to tell."""
    host_libraries: tuple[HostLibrary, ...] = ()
    status: str = ""
    """What the kernel said of the run's process when it said hello (/proc/PID/status)."""
    namespaces: tuple[str, ...] | None = None
    """Those that it does not share with us; what is not known yet is read at the hello."""
    work_bytes: int = 0
    """How large the file system of a fork's folders has to be, where it has one of its own."""
    expected: inspection.Expected | None = None
    """What a fork has to be like; nobody's code has run in a cold cell at its hello."""
    _is_over: bool = False

    @property
    def is_orphaned(self) -> bool:
        """Whether the cell fell with its warm cell, through no fault of its run."""
        return self.parent is not None and self.parent.done()

    def has_emptied_inputs(self) -> bool:
        """Remove the inputs of a run that had namespaces; say whether its folder is empty now."""
        if not self.has_inputs:
            return True
        try:
            with os.scandir(self.folder / "input") as entries:
                for entry in entries:
                    Path(entry).unlink()
        except OSError:
            return False
        return True

    def terminate(self) -> None:
        """Send SIGTERM to the run itself, which may clean up."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGTERM)

    def tell_where(self) -> None:
        """Have the run print where its threads are, which takes it no more than a moment."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, _TELL_WHERE)

    async def end(self) -> None:
        """Kill everything in the cell, once."""
        if self._is_over:
            return
        await self.kill()
        self._is_over = True
        is_dead = self.pidfd >= 0 and await until_dead(self.pidfd, timeout_s=_DEATH_S)
        if self.leaf is not None and not (is_dead and self.shows_its_end):
            self.leaf.kill()

    async def close(self) -> None:
        """Kill what is left and give everything back."""
        with contextlib.suppress(CellLostError):
            await self.end()
        os.close(self.channel.detach())
        for fd in self._fds():
            if fd >= 0:
                os.close(fd)
        if self.leaf is not None:
            self.leaf.remove()
        if self.layout.has_namespaces:
            self.give_back(self)
        else:  # what a run left there may take long to remove
            await asyncio.to_thread(self.give_back, self)

    def _fds(self) -> tuple[int, ...]:
        return (self.stdout_fd, self.stderr_fd, self.output_fd, self.scratch_fd, self.pidfd)


async def greet(cell: Cell, *, entering: "asyncio.Future[None] | None" = None) -> None:
    """Wait for the cell's hello; take its pid and folders from it, verified by the kernel.

    Then see that it is in its leaf, before it is given anything to do, and what it is like, if
    it is a fork. `entering` is a move of its first process that is under way (see launcher.py).

    Raises CellUnstartableError with what the cell printed, if it ends or stalls before;
    CellTamperedError if it is not what was ordered.
    """
    try:
        await _receive_hello(cell, FORK_HELLO_S if cell.start == "warm" else _COLD_HELLO_S)
        if entering is not None:
            await entering
        await _enter(cell)
        if cell.expected is not None:
            await _inspect(cell, cell.expected)
    except (TimeoutError, ConnectionError, ProcessLookupError, protocol.ProtocolFault) as fault:
        if entering is not None:
            await asyncio.wait((entering,))
            entering.exception()  # whoever is dead is in no cgroup: told already
        await cell.end()
        ended = await cell.tell()
        said = _printed(cell.stderr_fd)
        is_gone = isinstance(fault, (ConnectionError, ProcessLookupError)) or cell.is_orphaned
        if cell.start == "warm" and is_gone and ended.code == _UNBORN:
            raise ForkRefusedError("the kernel refused a fork", mend="try again later") from None
        if cell.start == "warm" and is_gone:
            raise CellLostError(said or "the fork ended", mend="it is forked anew") from None
        raise CellUnstartableError(
            f"the cell did not come up (exit {ended.code}): {said or fault or 'no hello'}",
            mend="run `fumehood doctor`, which tries each wall and says what is missing",
        ) from None


async def _enter(cell: Cell) -> None:
    """Move the cell's process into its leaf, unless it was born there."""
    if cell.leaf is None or (cell.start == "cold" and cell.leaf.holds(cell.pid)):
        return
    await cell.migrator.move(cell.leaf, cell.pid)


async def _inspect(cell: Cell, expected: inspection.Expected) -> None:
    """See that a fork is what was ordered. Raises CellTamperedError."""
    _read_status(cell)
    fault = inspection.fault(cell.pid, cell.status, expected)
    if fault and await until_dead(cell.pidfd, timeout_s=_DYING_S):
        raise ProcessLookupError("the cell ended right after its hello")
    if fault:
        raise CellTamperedError(
            f"a fork is not what was ordered: {fault}",
            mend="see what the package's import does; its runs start cold",
        )


async def _receive_hello(cell: Cell, patience_s: float) -> None:
    frames = protocol.Frames(largest_bytes=4096)
    channel = cell.channel
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        try:
            body, ancillary, _, _ = channel.recvmsg(4096, _HELLO_SPACE)
        except BlockingIOError:
            await readable(channel.fileno(), deadline=deadline)
            continue
        _take(cell, ancillary)
        if not body:
            raise ConnectionError("the cell closed its channel")
        for frame in frames.feed(body):
            if not protocol.is_hello(frame):
                raise protocol.ProtocolFault("something other than a hello")
            _check_introduction(cell)
            return


def is_dead(pidfd: int) -> bool:
    """Say whether a process is dead, by its pidfd (pidfd_open(2))."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


async def until_dead(pidfd: int, *, timeout_s: float) -> bool:
    """Wait until the process is dead, by its pidfd; say whether it is (pidfd_open(2))."""
    if is_dead(pidfd):
        return True
    try:
        await readable(pidfd, deadline=asyncio.get_running_loop().time() + timeout_s)
    except TimeoutError:
        return False
    return True


async def until_done(future: "asyncio.Future[Exit]", *, timeout_s: float) -> bool:
    """Wait until it is done; say whether it is. asyncio.wait takes twice as long for one."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(timeout_s, resolve, over, None)
    future.add_done_callback(lambda _: resolve(over, None))
    try:
        await over
    finally:
        timer.cancel()
    return future.done()


async def readable(fd: int, *, deadline: float) -> None:
    """Wait until there is something to read. Raises TimeoutError at `deadline`, loop time."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, resolve, ready, None)
    timer = loop.call_at(deadline, resolve, ready, TimeoutError())
    try:
        await ready
    finally:
        timer.cancel()
        loop.remove_reader(fd)


def _take(cell: Cell, ancillary: list[tuple[int, int, bytes]]) -> None:
    """Take the sender's pid, as the kernel vouches for it; descriptors are not wanted."""
    for level, kind, body in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_CREDENTIALS:
            cell.pid = int.from_bytes(body[:4], "little")
        elif kind == socket.SCM_RIGHTS:
            for at in range(0, len(body) - 3, 4):
                os.close(int.from_bytes(body[at : at + 4], "little"))


def _open_folders(cell: Cell) -> None:
    """Open the run's folders ourselves: a descriptor that a cell sent could be of any folder."""
    if not cell.layout.has_namespaces:
        _open_folders_ourselves(cell)
        return
    try:
        cell.output_fd = inspection.open_below(cell.pid, cell.layout.output_dir)
        cell.scratch_fd = inspection.open_below(cell.pid, cell.layout.scratch_dir)
    except OSError as fault:
        raise protocol.ProtocolFault(f"its folders are not where they were: {fault}") from None
    output, scratch = os.fstat(cell.output_fd), os.fstat(cell.scratch_fd)
    if cell.work_bytes and inspection.size_bytes(cell.output_fd) != cell.work_bytes:
        raise protocol.ProtocolFault("its folders are not those that were ordered")
    if output.st_dev != scratch.st_dev:
        raise protocol.ProtocolFault("its two folders are not in one file system")
    if output.st_ino == scratch.st_ino:
        raise protocol.ProtocolFault("its two folders are one")


def _open_folders_ourselves(cell: Cell) -> None:
    try:
        cell.output_fd = run_folder.open_part(cell.folder, "output")
        cell.scratch_fd = run_folder.open_part(cell.folder, "scratch")
    except OSError as fault:
        raise protocol.ProtocolFault(f"its folders are not where they were: {fault}") from None


def _check_introduction(cell: Cell) -> None:
    """Check that the kernel named the sender, and open its folders.

    A pid of 0 would mean ourselves to whoever signals it or moves it to a cgroup.
    """
    if cell.pid <= 0:
        raise protocol.ProtocolFault("the hello came from nobody")
    cell.pidfd = os.pidfd_open(cell.pid)
    if cell.expected is None:
        _read_status(cell)
    if cell.namespaces is None:
        cell.namespaces = procfs.own_namespaces(cell.pid)
    _open_folders(cell)
    if is_dead(cell.pidfd):  # and what was looked at may be another's
        raise ProcessLookupError("the cell ended right after its hello")


def _read_status(cell: Cell) -> None:
    cell.status = procfs.status(cell.pid)
    if not cell.status:
        raise ProcessLookupError("the cell ended right after its hello")
    if cell.layout.has_namespaces and not _is_in_a_namespace(cell.status):
        raise protocol.ProtocolFault("the pid of the hello is not a cell's any more")


def _is_in_a_namespace(status: str) -> bool:
    """Check by NSpid (proc(5)) that nobody else has got the pid since the hello was sent."""
    return len(procfs.field(status, "NSpid").split()) >= _OWN_AND_HOST


def _printed(fd: int) -> str:
    try:
        return os.read(fd, _START_LOG_BYTES).decode("utf-8", "backslashreplace").strip()
    except BlockingIOError:
        return ""
