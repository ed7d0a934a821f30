"""A warm cell, seen from outside: started once, forked for every run.

The fork is ready before its run is known (a spare): namespaces, mounts and filters cost
nothing while a run waits. We talk to the cell's warden, which never runs package code
(inside/warm/warden.py); the pid of a fork is taken from the kernel's credentials on its hello.
"""

import array
import asyncio
import contextlib
import os
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import protocol
from sandbox.cells import cell, inspection, run_folder
from sandbox.cells.cell import Cell
from sandbox.cells.ends import Ends, ends
from sandbox.cells.forks import Forks
from sandbox.cells.host_libraries import mapped
from sandbox.cells.import_guard import outgrowing
from sandbox.cells.launcher import Launcher
from sandbox.cgroups.leaf import Leaf
from sandbox.cgroups.migration import resolve
from sandbox.command import Command, HostLibrary
from sandbox.errors import CellLostError, CellUnstartableError
from sandbox.kernel import procfs
from sandbox.kernel.process import Child, Exit
from sandbox.kernel.process_tree import proportional_bytes
from sandbox.limits import MIB
from sandbox.walls import layout

_KILL_S = 2.0
_TAIL_BYTES, _MOST_PRINTED_BYTES = 8192, 64 * MIB
"""A warm cell that prints without end would keep the worker busy with it."""
_CREDENTIALS_SPACE = socket.CMSG_SPACE(12)
_KILLED = Exit(code=-signal.SIGKILL)


@dataclass(slots=True, kw_only=True)
class WarmCell:
    """One warm process and the runs that were forked from it."""

    command: Command
    launcher: Launcher
    child: Child
    control: socket.socket
    folder: Path
    number: int
    leaf: Leaf | None
    log_fds: tuple[int, int]
    pss_bytes: int = 0
    host_libraries: tuple[HostLibrary, ...] = ()
    """Those that its import has mapped, and so all its forks have."""
    ordered: int = 0
    tail: bytes = b""
    _printed_bytes: int = 0
    is_retired: bool = False
    forks: Forks = field(default_factory=Forks)
    _namespaces: tuple[str, ...] | None = None
    """Those of its forks that are not ours, read once: setns(2) is refused to all of them."""
    _frames: protocol.Frames = field(default_factory=lambda: protocol.Frames(largest_bytes=65_536))
    _here: "asyncio.Future[None] | None" = None
    _warm: "asyncio.Future[protocol.Warm] | None" = None
    _warden_pid: int = 0
    _held_pid: int = 0
    _is_taken: bool = False

    async def warm_up(self, *, preload_s: float) -> str:
        """Let it import; return why it is unfit to be forked, or nothing."""
        loop = asyncio.get_running_loop()
        self._here, self._warm = loop.create_future(), loop.create_future()
        self.child.ended.add_done_callback(lambda _: self._lost())
        loop.add_reader(self.control, self._read)
        for fd in self.log_fds:
            loop.add_reader(fd, self._read_log, fd)
        run_dir = self.launcher.layout(self.command, self.folder / "{run}")
        message = layout.setup(self.command, run_dir, self.launcher.host.barriers)
        guard = None
        if self.leaf is None:
            watched = outgrowing(self.child.pid, self.command.limits, stop=self._stop)
            guard = loop.create_task(watched)
        try:
            async with asyncio.timeout(preload_s):
                await self._here
                await self._enter()
                await loop.sock_sendall(self.control, protocol.frame(message))
                said = await self._warm
        except TimeoutError:
            return f"preload took longer than {preload_s:g} s"
        except (OSError, CellLostError) as fault:
            if isinstance(fault, OSError) and not isinstance(fault, ConnectionError):
                return f"the warm cell cannot be moved to its cgroup: {fault}"
            if guard is not None and guard.done():
                return f"preload took {guard.result()}"
            return f"the warm cell ended while it imported: {self._said()}"
        finally:
            if guard is not None:
                guard.cancel()
        if not said.unfit:
            self._held_pid = (*procfs.children(self._warden_pid), 0)[0]
            self.pss_bytes = await asyncio.to_thread(proportional_bytes, self.child.pid)
            self.host_libraries = await asyncio.to_thread(mapped, self._held_pid)
        return said.unfit

    async def _enter(self) -> None:
        """Have every process of the cell in its leaf, by the kernel's account, before the import.

        A move takes one process; what it starts later is born where it is.
        """
        if self.leaf is None:
            return
        while outside := [pid for pid in procfs.tree(self.child.pid) if not self.leaf.holds(pid)]:
            for pid in outside:
                await self.launcher.migrator.move(self.leaf, pid)
        if not self.leaf.holds(self._warden_pid):
            raise CellLostError("its warden is in no cgroup of ours", mend="see the worker's log")

    @property
    def is_free(self) -> bool:
        """Whether it can be forked just now.

        Without namespaces all its runs may reach below one folder, so there is one at a time,
        and what it left is gone before the next.
        """
        return self.launcher.has_namespaces or not self._is_taken

    @property
    def is_alive(self) -> bool:
        """Whether it can be forked."""
        return not self.child.ended.done() and not self.is_retired

    def order(self) -> Cell:
        """Order a fork; it has to be welcomed. Raises CellUnstartableError, CellLostError."""
        self.ordered += 1
        self._is_taken = True
        run = str(self.ordered)
        leaf = self.launcher.leaf(self.command.limits)
        folder = self._run_folder(run)
        ended = self.forks.begin(run)
        try:
            with ends(self.launcher.host.user(self.number)) as both:
                self._send({"run": run, "folder": folder.name}, both.theirs)
                expected = self._expected(both.inodes)
        except BaseException as fault:
            self._remove_folders()
            if leaf is not None:
                leaf.remove()
            self.forks.forget(run)
            if isinstance(fault, OSError):
                raise CellUnstartableError(
                    f"no channel for the run: {fault}", mend="allow the worker more open files"
                ) from fault
            raise
        forked = self._cell(run, both, ended, folder, leaf)
        forked.expected = expected
        if self.launcher.has_namespaces:
            forked.work_bytes = layout.work_bytes(self.command.limits)
        return forked

    def _expected(self, inodes: tuple[int, int, int]) -> inspection.Expected:
        limits = self.command.limits
        has_namespaces = self.launcher.has_namespaces
        return inspection.Expected(
            parent_pid=self._warden_pid,
            held_pid=self._held_pid,
            inodes=inodes,
            mounted=layout.mounted(limits) if has_namespaces and self.leaf is None else None,
        )

    async def welcome(self, forked: Cell) -> None:
        """Wait until a fork has shut its walls. Raises CellUnstartableError, CellLostError."""
        try:
            await cell.greet(forked)
            self._namespaces = forked.namespaces
            self._check_descent(forked)
            forked.expected = None
        except BaseException:
            await forked.close()
            raise

    def _check_descent(self, forked: Cell) -> None:
        """Check that its end is that of all that it may have started.

        With namespaces it is the first of a pid namespace; without, its orphans are the warden's.
        """
        forked.tree_pid = forked.pid if self.launcher.has_namespaces else self._warden_pid
        if self.launcher.has_namespaces and not procfs.is_first(forked.status):
            raise CellUnstartableError(
                "the hello came from somebody who is no fork", mend="the run is started cold"
            )

    async def close(self) -> None:
        """End it and all its forks, and remove its folder."""
        self.is_retired = True
        self.launcher.migrator.release(self.child.pid)
        await self._end_child()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.control)
        self.control.close()
        for fd in self.log_fds:
            loop.remove_reader(fd)
            os.close(fd)
        if self.leaf is not None:
            self.leaf.kill()
            self.leaf.remove()
        run_folder.remove(self.folder)

    @property
    def _sees_ends(self) -> bool:
        """Whether forks show us their ends, so that nothing need be told of most of them."""
        return self.launcher.has_namespaces and self.leaf is not None

    def _send(self, message: dict[str, protocol.Inward], fds: tuple[int, ...] = ()) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.control.sendmsg([protocol.frame(message)], rights)
        except OSError as fault:
            raise CellLostError(
                f"the warm cell is gone: {fault}", mend="the run is started again"
            ) from None

    def _cell(
        self,
        run: str,
        both: Ends,
        ended: "asyncio.Future[Exit]",
        folder: Path,
        leaf: Leaf | None,
    ) -> Cell:
        forked = Cell(
            layout=self.launcher.layout(self.command, folder),
            channel=both.channel,
            stdout_fd=both.stdout_fd,
            stderr_fd=both.stderr_fd,
            kill=lambda: self._kill(run, forked, ended),
            tell=lambda: self._tell(run, ended),
            shows_its_end=self._sees_ends,
            folder=folder,
            give_back=self._give_back,
            migrator=self.launcher.migrator,
            leaf=leaf,
            start="warm",
            parent=self.child.ended,
            namespaces=self._namespaces,
            host_libraries=self.host_libraries,
        )
        return forked

    def _run_folder(self, run: str) -> Path:
        """Return the host folder of a run; one with namespaces has all that it needs inside."""
        if self.launcher.has_namespaces:
            return self.folder / run
        name = f"{self.folder.name}/{run}"
        return self.launcher.run_folder(name, user=self.launcher.host.user(self.number))

    def _give_back(self, _forked: Cell) -> None:
        self._remove_folders()

    def _remove_folders(self) -> None:
        """Remove all that a run has left; without namespaces whatever there is, by any name."""
        if self.launcher.has_namespaces:
            return
        for path in self.folder.iterdir():
            run_folder.remove(path)
        self._is_taken = False

    async def _kill(self, run: str, forked: Cell, ended: "asyncio.Future[Exit]") -> None:
        """Kill a fork by its pidfd, whatever is said of its end; failing that, everything."""
        if await self._has_died(run, forked, ended):
            self.forks.be_over(run)
        else:
            await self._end_child()
            self.forks.end(run, _KILLED)

    async def _has_died(self, run: str, forked: Cell, ended: "asyncio.Future[Exit]") -> bool:
        """Kill it, and say whether it is dead: one that came to no hello has to be told of."""
        if forked.pidfd >= 0:
            self._kill_one(forked)
        if forked.pidfd < 0 or not self._sees_ends:
            await self._tell(run, ended)
            if forked.pidfd < 0 or not ended.done():
                return ended.done()
        return await cell.until_dead(forked.pidfd, timeout_s=_KILL_S)

    async def _tell(self, run: str, ended: "asyncio.Future[Exit]") -> Exit:
        """Return how a run ended, once it has; the warm cell is asked, which reaps it."""
        if not ended.done() and not self.child.ended.done():
            self.forks.ask(run, ended)
            with contextlib.suppress(CellLostError):
                self._send({"how": run})
                await cell.until_done(ended, timeout_s=_KILL_S)
        return ended.result() if ended.done() else _KILLED

    def _kill_one(self, forked: Cell) -> None:
        """Kill its first process; what is left of it without namespaces, the warden ends."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(forked.pidfd, signal.SIGKILL)

    def _stop(self) -> None:
        """Let it end: with namespaces by a kill, without by telling its keeper."""
        has_namespaces = self.launcher.has_namespaces
        self.child.send(signal.SIGKILL if has_namespaces else signal.SIGTERM)

    async def _end_child(self) -> Exit:
        if self.launcher.has_namespaces:
            return await self.child.end()
        return await self.child.terminate_then_end()

    def _read(self) -> None:
        try:
            chunk, ancillary, _, _ = self.control.recvmsg(65_536, _CREDENTIALS_SPACE)
            self._warden_pid = self._warden_pid or _sender(ancillary)
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
        self.forks.end_all(_KILLED)

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

    def _said(self) -> str:
        return self.tail.decode("utf-8", "backslashreplace").strip() or "it printed nothing"


async def start(
    command: Command, launcher: Launcher, *, number: int, leaf: Leaf | None
) -> WarmCell:
    """Start the process of a warm cell. Raises CellUnstartableError."""
    folder = launcher.warm_folder(f"warm-{os.getpid()}-{number}")
    try:
        with ends() as both:
            child = await launcher.process(command, both, mode="warm", folder=folder, number=number)
        if leaf is not None:
            launcher.migrator.hold(child.pid, leaf)
    except OSError as fault:
        run_folder.remove(folder)
        raise CellUnstartableError(str(fault), mend="run `fumehood doctor`") from fault
    return WarmCell(
        command=command,
        launcher=launcher,
        child=child,
        control=both.channel,
        folder=folder,
        number=number,
        leaf=leaf,
        log_fds=(both.stdout_fd, both.stderr_fd),
    )


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the pid of who sent a message, as the kernel vouches for it (unix(7))."""
    for level, kind, body in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return int.from_bytes(body[:4], "little")
    return 0
