"""Waits for the hello of a started cell, and looks at who said it, before it is given anything.

The pid is the kernel's word (SCM_CREDENTIALS, unix(7)), and the folders are opened by us. What a
fork is like is looked at when it is in its cgroup, since an import that vouches for nothing has run
where it comes from: whatever it starts from then on is in there too.
"""

import asyncio
import os
import socket

from sandbox import protocol
from sandbox.cells import inspection
from sandbox.cells.cell import Cell, cell
from sandbox.cells.inspection import Expected, Hello
from sandbox.cells.started import StartedCell
from sandbox.cgroups.migration import Migrator
from sandbox.errors import (
    CellLostError,
    CellTamperedError,
    CellUnstartableError,
    ForkRefusedError,
    SandboxError,
)
from sandbox.kernel import procfs
from sandbox.kernel.waiting import is_dead, readable, until_dead

_PATIENCE_S = {"cold": 30.0, "warm": 5.0}
_DYING_S = 0.2
"""How long a fork that looks wrong has to die: one on its way to that has no descriptors left."""
_START_LOG_BYTES = 8192
_UNBORN = 71
"""How a fork ended, by its warden, that the kernel did not make (EX_OSERR, sysexits.h)."""
_HELLO_BYTES = 4096
_HELLO_SPACE = socket.CMSG_SPACE(8 * 4) + socket.CMSG_SPACE(12)
_NOT_UP = (TimeoutError, ConnectionError, ProcessLookupError, protocol.ProtocolFault)


async def greet(
    started: StartedCell,
    migrator: Migrator,
    *,
    entering: "asyncio.Future[None] | None" = None,
) -> Cell:
    """Return the cell, once it has shut its walls and has said hello.

    `entering` is a move of its first process that is under way (launcher.py).

    Raises CellUnstartableError with what the cell printed, if it ends or stalls before;
    CellLostError for a fork that ended; CellTamperedError if it is not what was ordered. It is
    closed then.
    """
    try:
        return await _look(started, migrator, entering)
    except BaseException as fault:
        told = None
        try:
            if isinstance(fault, _NOT_UP):
                told = await _why(started, fault, entering)
        finally:
            await started.close()
        if told is not None:
            raise told from None
        raise


async def _look(
    started: StartedCell,
    migrator: Migrator,
    entering: "asyncio.Future[None] | None",
) -> Cell:
    """Do all that there is to do when nothing goes wrong."""
    plan = started.plan
    pid = await _sender(started.ends.channel, _PATIENCE_S[plan.start])
    if pid <= 0:  # to whoever signals it, or moves it to a cgroup, 0 would mean ourselves
        raise protocol.ProtocolFault("the hello came from nobody")
    pidfd = started.open_pidfd(pid)
    status = "" if plan.expected is not None else _status(started, pid)
    namespaces = procfs.own_namespaces(pid) if plan.namespaces is None else plan.namespaces
    output_fd, scratch_fd = _folders(started, pid)
    if is_dead(pidfd):  # and what was looked at may be another's
        raise _ended()
    if entering is not None:
        await entering
    await _enter(started, migrator, pid)
    if plan.expected is not None:
        status = await _inspected(started, pid, pidfd, plan.expected)
    hello = Hello(
        pid=pid,
        pidfd=pidfd,
        status=status,
        namespaces=namespaces,
        has_routes=plan.start == "cold" and procfs.has_routes(pid),
        output_fd=output_fd,
        scratch_fd=scratch_fd,
    )
    return cell(started, hello, top_pid=started.tree.top(pid, status))


async def _sender(channel: socket.socket, patience_s: float) -> int:
    """Wait for the hello; return the pid of who sent it, as the kernel vouches for it."""
    frames = protocol.Frames(largest_bytes=_HELLO_BYTES)
    deadline = asyncio.get_running_loop().time() + patience_s
    pid = 0
    while True:
        try:
            body, ancillary, _, _ = channel.recvmsg(_HELLO_BYTES, _HELLO_SPACE)
        except BlockingIOError:
            await readable(channel.fileno(), deadline=deadline)
            continue
        pid = _credentials(ancillary) or pid
        if not body:
            raise ConnectionError("the cell closed its channel")
        for frame in frames.feed(body):
            if not protocol.is_hello(frame):
                raise protocol.ProtocolFault("something other than a hello")
            return pid


def _credentials(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the pid that came with a message; descriptors are not wanted, and closed."""
    pid = 0
    for level, kind, body in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_CREDENTIALS:
            pid = int.from_bytes(body[:4], "little")
        elif kind == socket.SCM_RIGHTS:
            for at in range(0, len(body) - 3, 4):
                os.close(int.from_bytes(body[at : at + 4], "little"))
    return pid


def _folders(started: StartedCell, pid: int) -> tuple[int, int]:
    try:
        return started.open_folders(pid)
    except OSError as fault:
        raise protocol.ProtocolFault(f"its folders are not where they were: {fault}") from None


def _status(started: StartedCell, pid: int) -> str:
    status = procfs.status(pid)
    if not status:
        raise _ended()
    if not started.plan.kind.is_a_cell(status):
        raise protocol.ProtocolFault("the pid of the hello is not a cell's any more")
    return status


async def _enter(started: StartedCell, migrator: Migrator, pid: int) -> None:
    """Move the cell's process into its leaf, unless it was born there."""
    leaf = started.leaf
    if leaf is None or (started.plan.start == "cold" and leaf.holds(pid)):
        return
    await migrator.move(leaf, pid)


async def _inspected(started: StartedCell, pid: int, pidfd: int, expected: Expected) -> str:
    """Return the status of a fork that is what was ordered. Raises CellTamperedError."""
    status = _status(started, pid)
    fault = inspection.fault(pid, status, expected)
    if fault and await until_dead(pidfd, timeout_s=_DYING_S):
        raise _ended()
    if fault:
        raise CellTamperedError(
            f"a fork is not what was ordered: {fault}",
            mend="see what the package's import does; its runs start cold",
        )
    return status


async def _why(
    started: StartedCell, fault: Exception, entering: "asyncio.Future[None] | None"
) -> SandboxError:
    """Return why a cell did not come up, when all of it is dead."""
    if entering is not None:
        await asyncio.wait((entering,))
        entering.exception()  # whoever is dead is in no cgroup: told already
    await started.end()
    ended = await started.tree.exit()
    printed = _printed(started.ends.stderr_fd)
    is_gone = isinstance(fault, (ConnectionError, ProcessLookupError)) or started.tree.is_orphaned
    if started.plan.start == "warm" and is_gone and ended.code == _UNBORN:
        return ForkRefusedError("the kernel refused a fork", mend="try again later")
    if started.plan.start == "warm" and is_gone:
        return CellLostError(printed or "the fork ended", mend="it is forked anew")
    return CellUnstartableError(
        f"the cell did not come up (exit {ended.code}): {printed or fault or 'no hello'}",
        mend="run `fumehood doctor`, which tries each wall and says what is missing",
    )


def _ended() -> ProcessLookupError:
    return ProcessLookupError("the cell ended right after its hello")


def _printed(fd: int) -> str:
    try:
        return os.read(fd, _START_LOG_BYTES).decode("utf-8", "backslashreplace").strip()
    except BlockingIOError:
        return ""
