"""Starts the processes of relays, and keeps one ahead: they take longer to come up than a cell."""

import asyncio
import os
import socket
import sys
from pathlib import Path

from frozen.values import frozen
from sandbox.errors import CellUnstartableError
from sandbox.kernel.process import Child, spawn

PROGRAM = Path(__file__).with_name("start_relay.py")
_SPARE_S = 60.0
"""A spare one that nobody took for so long is let go: it holds 20 MiB."""
_ERRORS_OF_OURS = 2
"""What a relay prints is a fault of ours: it goes where the worker's own errors go."""


@frozen
class Started:
    """A relay that waits for its order, and our end of the socket that the order goes over."""

    child: Child
    channel: socket.socket

    async def end(self) -> None:
        """Let it go: nobody has need of it."""
        self.channel.close()
        await self.child.end()


class Relays:
    """A relay takes 100 ms to come up (measured), of which the next run is spared."""

    def __init__(self, program: Path = PROGRAM) -> None:
        self.program = program
        self._spare: Started | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    def take(self) -> Started:
        """Return one for a run, and start the next. Raises CellUnstartableError."""
        taken = self._take_spare() or _start(self.program)
        self._spare = _start(self.program)
        self._timer = asyncio.get_running_loop().call_later(_SPARE_S, self._let_go)
        return taken

    async def close(self) -> None:
        """Let the spare one go."""
        self._let_go()
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _take_spare(self) -> Started | None:
        spare, self._spare = self._spare, None
        if self._timer is not None:
            self._timer.cancel()
        if spare is not None and spare.child.ended.done():  # somebody killed it
            spare.channel.close()
            return None
        return spare

    def _let_go(self) -> None:
        spare = self._take_spare()
        if spare is not None:
            task = asyncio.get_running_loop().create_task(spare.end())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)


def _start(program: Path) -> Started:
    """Start a relay with nothing of ours but its end of a socket."""
    ours, theirs = socket.socketpair()
    argv = [sys.executable, "-I", "-S", "-B", str(program), str(theirs.fileno())]
    libraries = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    try:
        with theirs, Path(os.devnull).open("wb") as nothing:
            process = spawn(
                argv,
                keep_fds=[theirs.fileno()],
                stdout_fd=nothing.fileno(),
                stderr_fd=_ERRORS_OF_OURS,
                variables=libraries,
            )
        return Started(child=Child(process), channel=ours)
    except OSError as fault:
        ours.close()
        raise CellUnstartableError(
            f"the relay of a run with network cannot be started: {fault}",
            mend="run `fumehood doctor`",
        ) from fault
