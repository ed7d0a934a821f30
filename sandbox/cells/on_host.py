"""Cells in the host's namespaces: started straight, kept together by a subreaper."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sandbox.cells import run_folder
from sandbox.cells.ends import Ends
from sandbox.cells.inspection import Hello
from sandbox.cells.kind import Invocation, Start
from sandbox.cgroups.leaf import Leaf
from sandbox.command import Input
from sandbox.kernel.process import Child, Exit, HostUser, spawn
from sandbox.walls import layout as places
from sandbox.walls.layout import Layout
from sandbox.walls.on_host import HostWalls

_RUNNERS = {False: "subreaper", True: "warm.subreaper_warden"}
"""Modules of inside/, by whether the cell is warm: each kills all that is left (prctl(2))."""
_WRITABLE = ("scratch", "output")


class HostCells:
    """How cells without namespaces are started, looked at and let go."""

    def __init__(self) -> None:
        self.walls = HostWalls()

    def invocation(self, start: Start, *, channel_fd: int) -> Invocation:
        """Return the interpreter itself, with an environment of the cell's own."""
        kind = _RUNNERS[start.is_warm]
        variables = places.variables(
            start.layout, library_path=start.runner.library_path, limits=start.command.limits
        )
        argv = start.runner.argv(kind, seen_at=start.layout.inside, channel_fd=channel_fd)
        return Invocation(argv=argv, variables=variables)

    async def spawn(
        self, invocation: Invocation, ends: Ends, *, user: HostUser | None, leaf: Leaf | None
    ) -> "subprocess.Popen[bytes]":
        """Start it as a host user of its own, where the worker can give it one.

        It has to be moved to its leaf: we are the process's first thread, with all its memory.
        """
        del leaf
        channel_fd, out, err = ends.theirs
        return spawn(
            invocation.argv,
            keep_fds=[channel_fd],
            stdout_fd=out,
            stderr_fd=err,
            variables=invocation.variables,
            user=user,
        )

    def stop(self, child: Child) -> None:
        """Tell the subreaper, which kills all that it keeps."""
        child.send(signal.SIGTERM)

    async def end(self, child: Child) -> Exit:
        """Tell the subreaper; killed at once, it would leave its orphans to the host's init."""
        return await child.terminate_then_end()

    def cold_folder(self, folder: Path, *, user: HostUser | None) -> Path:
        """Make it, with scratch and output for the cell's user to write in."""
        run_folder.make(folder, writable=_WRITABLE, user=user)
        return folder

    async def give_back(self, folder: Path, *, has_inputs: bool) -> None:
        """Remove it in a thread: what a run left there may take long."""
        del has_inputs
        await asyncio.to_thread(run_folder.remove, folder)

    def fork_folder(self, folder: Path, *, user: HostUser | None) -> Path:
        """Make it as a cold cell's: a fork, too, has no other place to write."""
        return self.cold_folder(folder, user=user)

    def clear_forks(self, folder: Path) -> None:
        """Remove whatever is there: an import may write in there too, under any name."""
        for path in folder.iterdir():
            run_folder.remove(path)

    async def give_back_fork(self, folder: Path) -> None:
        """Remove it in a thread."""
        await asyncio.to_thread(self.clear_forks, folder)

    def is_a_cell(self, status: str) -> bool:
        """Believe it: nothing tells a cell's process from others here but its pidfd."""
        del status
        return True

    def open_folders(
        self, pid: int, folder: Path, layout: Layout, *, work_bytes: int
    ) -> tuple[int, int]:
        """Open the folders that we made, without following a link that an import put there."""
        del pid, layout, work_bytes
        output_fd = run_folder.open_part(folder, "output")
        try:
            return output_fd, run_folder.open_part(folder, "scratch")
        except OSError:
            os.close(output_fd)
            raise

    def top_of_fork(self, pid: int, status: str, *, warden_pid: int) -> int:
        """Return the warden, to which a fork's orphans fall."""
        del pid, status
        return warden_pid

    def why_cold(self, inputs: Sequence[Input]) -> str:
        """Say nothing: a copy goes to the run's folder on the host, however large it is."""
        del inputs
        return ""

    def place_inputs(self, inputs: Sequence[Input], hello: Hello, folder: Path) -> None:
        """Copy them: the import may write where a link would let it change the original."""
        del hello
        run_folder.place_inputs(inputs, folder, by_link=False)

    def close(self) -> None:
        """Give back nothing: nothing was made for all."""
