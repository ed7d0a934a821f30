"""Child processes by pidfd: started in one place, waited for without a thread, never by pid.

A child's usage (wait4(2)) includes every descendant that it has itself waited for.
"""

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence

from frozen.values import frozen

_SUBREAPER_S = 5.0


@frozen
class Exit:
    """How a process ended: exit code, or minus the number of the signal; and what it used."""

    code: int
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0


@frozen
class HostUser:
    """The unprivileged user that a cell is on the host."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Groups besides: what lets it cross a folder that is shut to everybody else."""


class Child:
    """A running child process; `ended` is a future of its Exit."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.pid = process.pid
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Exit] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._reap)

    def send(self, number: signal.Signals) -> None:
        """Signal the process, if it is still there."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    async def end(self) -> Exit:
        """Kill the process and return how it ended."""
        self.send(signal.SIGKILL)
        return await self.wait()

    async def wait(self) -> Exit:
        """Return how it ended, once it has."""
        return await asyncio.shield(self.ended)

    async def terminate_then_end(self) -> Exit:
        """Tell a subreaper to kill all below it, and return how it ended."""
        self.send(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self.ended), _SUBREAPER_S)
        return await self.end()

    def _reap(self) -> None:
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.ended.set_result(_exit(self._process.returncode, usage))


def spawn(
    argv: Sequence[str],
    *,
    keep_fds: Sequence[int],
    stdout_fd: int,
    stderr_fd: int,
    variables: Mapping[str, str],
    user: HostUser | None = None,
) -> "subprocess.Popen[bytes]":
    """Start `argv` with nothing of ours but the given descriptors. Raises OSError.

    With PR_SET_PDEATHSIG the child dies with the thread, not the process, that started it
    (prctl(2)): call it from one that lasts.
    """
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=stdout_fd,
        stderr=stderr_fd,
        pass_fds=keep_fds,
        env=dict(variables),
        cwd="/",
        start_new_session=True,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=user.groups if user else None,
    )


def allow_descriptors() -> None:
    """Let this process have as many descriptors as it may (getrlimit(2)).

    Those on their way between processes count for all of a user's, against the limit of who
    sends one more (unix(7), ETOOMANYREFS): ours has to be above that of any cell.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def creating_as(user: HostUser) -> Generator[None]:
    """Let what this thread creates be that user's (setfsuid(2)); for root.

    A file system of another user namespace has no names for users that are not mapped in there
    (EOVERFLOW, user_namespaces(7)).
    """
    libc = ctypes.CDLL(None)
    libc.setfsgid(user.gid)
    libc.setfsuid(user.uid)
    try:
        yield
    finally:
        libc.setfsuid(os.geteuid())
        libc.setfsgid(os.getegid())


def _exit(code: int, usage: resource.struct_rusage) -> Exit:
    return Exit(
        code=code,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_bytes=usage.ru_maxrss * 1024,
    )
