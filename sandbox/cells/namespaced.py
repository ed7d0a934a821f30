"""Cells in namespaces of their own: bubblewrap starts them, in a root that is made for each."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sandbox import protocol
from sandbox.base.furniture import Furnishings
from sandbox.cells import inspection, run_folder
from sandbox.cells.ends import Ends
from sandbox.cells.inspection import Hello
from sandbox.cells.kind import Invocation, Start
from sandbox.cgroups.leaf import Leaf
from sandbox.command import Input
from sandbox.errors import CellLostError, CellUnstartableError
from sandbox.kernel import procfs
from sandbox.kernel.mount_namespace import MountNamespace
from sandbox.kernel.namespace_thread import NamespaceThread
from sandbox.kernel.process import Child, Exit, HostUser, spawn
from sandbox.kernel.waiting import is_dead, until_done
from sandbox.limits import MIB
from sandbox.walls import bubblewrap
from sandbox.walls.host import Host
from sandbox.walls.layout import Layout
from sandbox.walls.namespaced import MOST_COPIED_BYTES, NamespacedWalls

_RUNNERS = {False: "cold", True: "warm.warden"}
"""Modules of inside/, by whether the cell is warm."""
_OWN_AND_HOST = 2
_REAPING_S = 1.0
"""How long bubblewrap has to end once what it waits for is dead; it takes 0.3 ms."""


class NamespacedCells:
    """How cells with namespaces are started, looked at and let go, from the host's side."""

    def __init__(
        self, *, bubblewrap: Path, host: Host, home: Path, prepared: Path, seen: tuple[Path, ...]
    ) -> None:
        self.walls = NamespacedWalls()
        self._bubblewrap = bubblewrap
        self._furnishings = Furnishings(prepared)
        self._free: list[Path] = []
        self._namespace_thread = NamespaceThread()
        roots = (*_roots(bubblewrap, home), *filter(_is_bound, (prepared, *seen)))
        # Only root can make one, and only for root it is that cells are other host users.
        self._mount_namespace = (
            MountNamespace(roots=roots, within=home.parent) if host.is_root else None
        )

    @property
    def has_ready_devices(self) -> bool:
        """Whether a cell's /dev is made once for all, and not by each cell's bubblewrap."""
        return self._mount_namespace is not None and bool(self._mount_namespace.devices)

    def invocation(self, start: Start, *, channel_fd: int) -> Invocation:
        """Return bubblewrap and its arguments; the variables are among these."""
        command, furnishings = start.command, self._furnishings
        furniture = bubblewrap.Furniture(
            inside=start.runner.code,
            etc=furnishings.etc(command.network),
            programs=furnishings.programs(),
            sys=furnishings.sys(command.limits),
            library_path=start.runner.library_path,
            input_dir=None if start.is_warm else start.folder / "input",
            devices="" if self._mount_namespace is None else self._mount_namespace.devices,
        )
        wall = bubblewrap.arguments(
            command, furniture, reach=self._reach, layout=start.layout, is_warm=start.is_warm
        )
        kind = _RUNNERS[start.is_warm]
        program = start.runner.argv(kind, seen_at=start.layout.inside, channel_fd=channel_fd)
        return Invocation(argv=[self._reach(self._bubblewrap), *wall, "--", *program], variables={})

    async def spawn(
        self, invocation: Invocation, ends: Ends, *, user: HostUser | None, leaf: Leaf | None
    ) -> "subprocess.Popen[bytes]":
        """Start it where the host user can reach what it must; uid 1000 inside is bubblewrap's."""
        channel_fd, out, err = ends.theirs
        start = partial(
            spawn,
            invocation.argv,
            keep_fds=[channel_fd],
            stdout_fd=out,
            stderr_fd=err,
            variables=invocation.variables,
        )
        if self._mount_namespace is None or user is None:
            return start()
        there = start if leaf is None else partial(leaf.bear, start)
        return await self._namespace_thread.start(
            there, namespace_fd=self._mount_namespace.namespace_fd, user=user
        )

    def stop(self, child: Child) -> None:
        """Kill the cell's first process, or bubblewrap where it has started none yet."""
        if not _kill_below(child.pid):
            child.send(signal.SIGKILL)

    async def end(self, child: Child) -> Exit:
        """Kill the first process of its pid namespace, and with it all (pid_namespaces(7)).

        bubblewrap waits for that one and ends, too. Were it killed itself, what it leaves dead
        would be the host's init to wait for: it counts in its cgroup until then, for a second
        with some inits, and for ever where we are the init of a container ourselves.
        """
        _kill_below(child.pid)
        if not await until_done(child.ended, timeout_s=_REAPING_S):
            child.send(signal.SIGKILL)
        return await child.wait()

    def cold_folder(self, folder: Path, *, user: HostUser | None) -> Path:
        """Return one that was used before, if there is one; no cell writes in it.

        Removing a folder that is mounted in a namespace costs more than making a cell.
        """
        if self._free:
            return self._free.pop()
        run_folder.make(folder, writable=(), user=user)
        return folder

    async def give_back(self, folder: Path, *, has_inputs: bool) -> None:
        """Keep it for the next run, once it is empty; nothing in here takes long."""
        if not has_inputs or _has_emptied_inputs(folder):
            self._free.append(folder)
        else:
            run_folder.remove(folder)

    def fork_folder(self, folder: Path, *, user: HostUser | None) -> Path:
        """Return it without making it: a fork has all that it needs in its own tmpfs."""
        del user
        return folder

    def clear_forks(self, folder: Path) -> None:
        """Leave it: forks have left nothing on the host."""

    async def give_back_fork(self, folder: Path) -> None:
        """Leave it, without a thread."""

    def is_a_cell(self, status: str) -> bool:
        """Check by NSpid (proc(5)) that nobody else has got the pid since the hello was sent."""
        return len(procfs.field(status, "NSpid").split()) >= _OWN_AND_HOST

    def open_folders(
        self, pid: int, folder: Path, layout: Layout, *, work_bytes: int
    ) -> tuple[int, int]:
        """Open them through the cell's root; the fork made them, so what they are is looked at."""
        del folder
        with contextlib.ExitStack() as opened:
            output_fd = inspection.open_below(pid, layout.output_dir)
            opened.callback(os.close, output_fd)
            scratch_fd = inspection.open_below(pid, layout.scratch_dir)
            opened.callback(os.close, scratch_fd)
            _check_folders(output_fd, scratch_fd, work_bytes)
            opened.pop_all()
        return output_fd, scratch_fd

    def top_of_fork(self, pid: int, status: str, *, warden_pid: int) -> int:
        """Return the fork, which has to be the first of a pid namespace."""
        del warden_pid
        if not procfs.is_first(status):
            raise CellUnstartableError(
                "the hello came from somebody who is no fork", mend="the run is started cold"
            )
        return pid

    def why_cold(self, inputs: Sequence[Input]) -> str:
        """Say so where there is too much to copy into a fork's own file system."""
        size_bytes = run_folder.copied_bytes(inputs)
        if size_bytes <= MOST_COPIED_BYTES:
            return ""
        return f"its inputs are mounted ({size_bytes // MIB} MiB), which only a cold cell allows"

    def place_inputs(self, inputs: Sequence[Input], hello: Hello, folder: Path) -> None:
        """Copy them to the fork's tmpfs, as its user: others are not mapped there (EOVERFLOW)."""
        del folder
        uid, gid = (int(procfs.field(hello.status, name).split()[0]) for name in ("Uid", "Gid"))
        try:
            folder_fd = inspection.open_inputs(hello.pid)
        except OSError as fault:
            raise CellLostError(
                f"the fork ended: {fault}", mend="the run is started again"
            ) from None
        try:
            if is_dead(hello.pidfd):  # and its pid may be another cell's by now
                raise CellLostError("the fork ended", mend="the run is started again")
            run_folder.copy_inputs(inputs, folder_fd, user=HostUser(uid=uid, gid=gid))
        finally:
            os.close(folder_fd)

    def close(self) -> None:
        """Give back folders, thread and mount namespace."""
        for folder in self._free:
            run_folder.remove(folder)
        self._namespace_thread.close()
        if self._mount_namespace is not None:
            self._mount_namespace.close()

    def _reach(self, path: Path) -> str:
        if self._mount_namespace is None or _is_for_all(path):
            return str(path)
        return self._mount_namespace.reach(path)


def _is_for_all(path: Path) -> bool:
    return str(path).startswith("/usr/")


def _kill_below(pid: int) -> bool:
    """Kill the children of bubblewrap, each by a descriptor that is its own for certain.

    Return whether there were any: bubblewrap waits for those, and ends.
    """
    children = procfs.children(pid)
    for child_pid in children:
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(child_pid)
            try:
                if child_pid in procfs.children(pid):  # and not another that has got its pid
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)
    return bool(children)


def _is_bound(folder: Path) -> bool:
    """Say whether `folder` is one that users of cells may be unable to reach."""
    return folder.is_dir() and not _is_for_all(folder / "lib")


def _roots(bubblewrap: Path, home: Path) -> tuple[Path, ...]:
    """Return what every cell needs there: our folder, and a bundled bwrap with its library.

    The wheel's bwrap finds libcap beside its package, so the whole of site-packages is bound.
    """
    if bubblewrap.is_relative_to("/usr"):
        return (home,)
    return (home, bubblewrap.resolve().parents[2])


def _has_emptied_inputs(folder: Path) -> bool:
    """Remove the inputs of a run; say whether its folder is empty now."""
    try:
        with os.scandir(folder / "input") as entries:
            for entry in entries:
                Path(entry).unlink()
    except OSError:
        return False
    return True


def _check_folders(output_fd: int, scratch_fd: int, work_bytes: int) -> None:
    output, scratch = os.fstat(output_fd), os.fstat(scratch_fd)
    if work_bytes and inspection.size_bytes(output_fd) != work_bytes:
        raise protocol.ProtocolFault("its folders are not those that were ordered")
    if output.st_dev != scratch.st_dev:
        raise protocol.ProtocolFault("its two folders are not in one file system")
    if output.st_ino == scratch.st_ino:
        raise protocol.ProtocolFault("its two folders are one")
