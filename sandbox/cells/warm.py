"""A warm cell, seen from outside: started once, forked for every run.

The fork is ready before its run is known (a spare): namespaces, mounts and filters cost
nothing while a run waits. We talk to the cell's warden, which never runs package code
(inside/warm/warden.py); the pid of a fork is taken from the kernel's credentials on its hello.
"""

import array
import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import protocol
from sandbox.cells import inspection, run_folder
from sandbox.cells.cell import Cell
from sandbox.cells.ends import ends
from sandbox.cells.forks import KILLED, Fork, Forks
from sandbox.cells.greeting import greet
from sandbox.cells.host_libraries import NOTHING_MAPPED, Mapped, mapped_by
from sandbox.cells.import_guard import outgrowing, overspending
from sandbox.cells.inspection import Around, Expected
from sandbox.cells.kind import CellKind, Start
from sandbox.cells.launcher import Launcher
from sandbox.cells.started import Plan, StartedCell
from sandbox.cgroups.leaf import Leaf
from sandbox.command import ColdReason, Command
from sandbox.errors import CellLostError, CellUnstartableError
from sandbox.kernel import procfs
from sandbox.kernel.process import Child, Exit
from sandbox.kernel.waiting import resolve
from sandbox.limits import MIB
from sandbox.walls import messages
from sandbox.walls.layout import Layout

_TAIL_BYTES, _MOST_PRINTED_BYTES = 8192, 64 * MIB
"""A warm cell that prints without end would keep the worker busy with it."""
_CREDENTIALS_SPACE = socket.CMSG_SPACE(12)


@dataclass(slots=True, kw_only=True)
class WarmCell:
    """One warm process and the runs that were forked from it."""

    launcher: Launcher
    start: Start
    child: Child
    control: socket.socket
    leaf: Leaf | None
    log_fds: tuple[int, int]
    pss_bytes: int = 0
    mapped: Mapped = NOTHING_MAPPED
    """Those that its import has mapped, and so all its forks have."""
    ordered: int = 0
    tail: bytes = b""
    _printed_bytes: int = 0
    is_retired: bool = False
    forks: Forks = field(default_factory=Forks)
    warden_pid: int = 0
    _namespaces: tuple[str, ...] | None = None
    """Those of its forks that are not ours, read once: setns(2) is refused to all of them."""
    _frames: protocol.Frames = field(default_factory=lambda: protocol.Frames(largest_bytes=65_536))
    _here: "asyncio.Future[None] | None" = None
    _warm: "asyncio.Future[protocol.Warm] | None" = None
    _held_pid: int = 0
    _around: Around | None = None
    _is_taken: bool = False

    @property
    def kind(self) -> CellKind:
        """Which kind of cell it is, and all its forks."""
        return self.launcher.kind

    async def warm_up(self, *, preload_s: float) -> ColdReason | None:
        """Let it import; return why it is unfit to be forked, or None."""
        self._listen()
        loop = asyncio.get_running_loop()
        command = self.start.command
        limits = command.limits
        guard = loop.create_task(
            outgrowing(self.child.pid, limits, stop=self._stop)
            if self.leaf is None
            else overspending(self.leaf, limits, stop=self._stop)
        )
        try:
            async with asyncio.timeout(preload_s):
                said = await self._import()
        except TimeoutError:
            return ColdReason(f"preload took longer than {preload_s:g} s", word="slow")
        except (OSError, CellLostError) as fault:
            if isinstance(fault, OSError) and not isinstance(fault, ConnectionError):
                return ColdReason(f"the warm cell cannot be moved to its cgroup: {fault}")
            if guard.done() and not guard.cancelled() and not guard.exception():
                return ColdReason(f"preload took {guard.result()}")
            return ColdReason(f"the warm cell ended while it imported: {self._printed_text()}")
        finally:
            guard.cancel()
        if said.unfit:
            return ColdReason(said.unfit, word=said.word)
        self._held_pid = (*procfs.children(self.warden_pid), 0)[0]
        try:
            self._around = inspection.around(self._held_pid)
        except OSError as fault:
            return ColdReason(f"the warm cell ended once it had imported: {fault}")
        self.pss_bytes = await asyncio.to_thread(procfs.proportional_bytes, self.child.pid)
        self.mapped = await asyncio.to_thread(mapped_by, self._held_pid)
        return None

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._here, self._warm = loop.create_future(), loop.create_future()
        self.child.ended.add_done_callback(lambda _: self._lost())
        loop.add_reader(self.control, self._read)
        for fd in self.log_fds:
            loop.add_reader(fd, self._read_log, fd)

    async def _import(self) -> protocol.Warm:
        """Give it its walls once it is in its cgroup; return what it says when it has imported."""
        assert self._here is not None and self._warm is not None  # noqa: S101 – made by _listen
        message = messages.setup(
            self.start.command,
            self._layout(self.start.folder / "{run}"),
            walls=self.kind.walls,
            barriers=self.launcher.host.barriers,
        )
        await self._here
        await self._enter()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.control, protocol.frame(message))
        return await self._warm

    async def _enter(self) -> None:
        """Have every process of the cell in its leaf, by the kernel's account, before the import.

        A move takes one process; what it starts later is born where it is.
        """
        if self.leaf is None:
            return
        while outside := [pid for pid in procfs.tree(self.child.pid) if not self.leaf.holds(pid)]:
            for pid in outside:
                await self.launcher.migrator.move(self.leaf, pid)
        if not self.leaf.holds(self.warden_pid):
            raise CellLostError("its warden is in no cgroup of ours", mend="see the worker's log")

    @property
    def is_free(self) -> bool:
        """Whether it can be forked just now.

        Without namespaces all its runs may reach below one folder, so there is one at a time,
        and what it left is gone before the next.
        """
        return self.kind.walls.facts.has_runs_beside or not self._is_taken

    @property
    def is_alive(self) -> bool:
        """Whether it can be forked."""
        return not self.child.ended.done() and not self.is_retired

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.child.ended.done()

    @property
    def shows_ends(self) -> bool:
        """Whether forks show us their ends, and a cgroup what they took."""
        return self.kind.walls.facts.shows_ends and self.leaf is not None

    def order(self) -> StartedCell:
        """Order a fork; it has to be welcomed. Raises CellUnstartableError, CellLostError."""
        self.ordered += 1
        self._is_taken = True
        run = str(self.ordered)
        leaf = self.launcher.leaves.make(self.start.command.limits)
        folder = self.kind.fork_folder(self.start.folder / run, user=self.start.user)
        ended = self.forks.begin(run)
        try:
            with ends(self.start.user) as both:
                self._send({"run": run, "folder": folder.name}, both.theirs)
                expected = self._expected(both.inodes)
        except BaseException as fault:
            self.kind.clear_forks(self.start.folder)
            self._is_taken = False
            if leaf is not None:
                leaf.remove()
            self.forks.forget(run)
            if isinstance(fault, OSError):
                raise CellUnstartableError(
                    f"no channel for the run: {fault}", mend="allow the worker more open files"
                ) from fault
            raise
        return StartedCell(
            plan=self._plan(folder, expected),
            ends=both,
            tree=Fork(run=run, ended=ended, forks=self.forks, forker=self),
            leaf=leaf,
            give_back=self._give_back,
        )

    def _plan(self, folder: Path, expected: Expected) -> Plan:
        return Plan(
            kind=self.kind,
            layout=self._layout(folder),
            folder=folder,
            start="warm",
            mapped=self.mapped,
            namespaces=self._namespaces,
            expected=expected,
        )

    def _layout(self, folder: Path) -> Layout:
        start = self.start
        walls = self.kind.walls
        return walls.layout(start.command.folders, inside=start.runner.code, run_dir=folder)

    def _expected(self, inodes: tuple[int, int, int]) -> Expected:
        disk = self.kind.walls.fork_disk(self.start.command.limits)
        return Expected(
            parent_pid=self.warden_pid,
            held_pid=self._held_pid,
            around=self._around,
            input_dir=self._layout(self.start.folder).input_dir,
            inodes=inodes,
            work_bytes=disk.work_bytes,
            mounted=disk.mounted,
            is_counted=self.leaf is not None,
        )

    async def welcome(self, ordered: StartedCell) -> Cell:
        """Wait until a fork has shut its walls. Raises CellUnstartableError, CellLostError."""
        forked = await greet(ordered, self.launcher.migrator)
        self._namespaces = forked.hello.namespaces
        return forked

    def retire(self) -> None:
        """Have no more forks of it; those that there are run on."""
        self.is_retired = True

    async def close(self) -> None:
        """End it and all its forks, and remove its folder."""
        self.retire()
        self.launcher.migrator.release(self.child.pid)
        await self.end()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.control)
        self.control.close()
        for fd in self.log_fds:
            loop.remove_reader(fd)
            os.close(fd)
        if self.leaf is not None:
            self.leaf.kill()
            self.leaf.remove()
        run_folder.remove(self.start.folder)

    async def end(self) -> None:
        """Kill it, and all its forks with it."""
        if self.leaf is not None:
            self.leaf.let_die()
        await self.kind.end(self.child)

    def ask_how(self, run: str) -> None:
        """Ask the warden how a run ended. Raises CellLostError."""
        self._send({"how": run})

    def _send(self, message: dict[str, protocol.Inward], fds: tuple[int, ...] = ()) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.control.sendmsg([protocol.frame(message)], rights)
        except OSError as fault:
            raise CellLostError(
                f"the warm cell is gone: {fault}", mend="the run is started again"
            ) from None

    async def _give_back(self) -> None:
        await self.kind.give_back_fork(self.start.folder)
        self._is_taken = False

    def _stop(self) -> None:
        if self.leaf is not None:
            self.leaf.let_die()
        self.kind.stop(self.child)

    def _read(self) -> None:
        try:
            chunk, ancillary, _, _ = self.control.recvmsg(65_536, _CREDENTIALS_SPACE)
            self.warden_pid = self.warden_pid or _sender(ancillary)
            for body in self._frames.feed(chunk):
                self._hear(protocol.read(body))
        except (BlockingIOError, InterruptedError):
            return
        except (ConnectionError, protocol.ProtocolFault):
            chunk = b""
        if not chunk:
            asyncio.get_running_loop().remove_reader(self.control)
            self._stop()

    def _hear(self, message: protocol.Message) -> None:
        if isinstance(message, protocol.Hello):
            resolve(self._here, None)
        elif isinstance(message, protocol.Warm) and self._warm and not self._warm.done():
            self._warm.set_result(message)
        elif isinstance(message, protocol.Ended) and self.forks.is_awaited(message.run):
            cpu_s, peak_rss_bytes = message.cpu_s, message.peak_rss_bytes
            how = Exit(code=message.code, cpu_s=cpu_s, peak_rss_bytes=peak_rss_bytes)
            self.forks.end(message.run, how)
        else:
            raise protocol.ProtocolFault("a message out of turn")

    def _lost(self) -> None:
        self.launcher.migrator.release(self.child.pid)
        for awaited in (self._here, self._warm):
            if awaited is not None and not awaited.done():
                awaited.set_exception(CellLostError("it ended", mend="see what it printed"))
                awaited.exception()  # one of the two may have nobody who waits
        self.forks.end_all(KILLED)

    def _read_log(self, fd: int) -> None:
        """Keep the end of what the import printed; a full pipe would stall it."""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(fd, 65_536)
            if not chunk:
                asyncio.get_running_loop().remove_reader(fd)
            self.tail = (self.tail + chunk)[-_TAIL_BYTES:]
            self._printed_bytes += len(chunk)
            if self._printed_bytes > _MOST_PRINTED_BYTES:
                self._stop()

    def _printed_text(self) -> str:
        return self.tail.decode("utf-8", "backslashreplace").strip() or "it printed nothing"


async def start(
    command: Command, launcher: Launcher, *, number: int, leaf: Leaf | None
) -> WarmCell:
    """Start the process of a warm cell. Raises CellUnstartableError."""
    folder = launcher.home / f"warm-{os.getpid()}-{number}"
    runner = await launcher.runner(command.interpreter)
    user = launcher.host.user(number)
    folder.mkdir(parents=True)
    try:
        started = launcher.start_of(command, runner, folder=folder, user=user, is_warm=True)
        with ends() as both:
            child = await launcher.process(started, both, leaf=leaf)
        if leaf is not None:
            launcher.migrator.hold(child.pid, leaf)
    except BaseException as fault:
        run_folder.remove(folder)
        if isinstance(fault, OSError):
            raise CellUnstartableError(str(fault), mend="run `fumehood doctor`") from fault
        raise
    return WarmCell(
        launcher=launcher,
        start=started,
        child=child,
        control=both.channel,
        leaf=leaf,
        log_fds=(both.stdout_fd, both.stderr_fd),
    )


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the pid of who sent a message, as the kernel vouches for it (unix(7))."""
    for level, kind, body in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return int.from_bytes(body[:4], "little")
    return 0
