"""Starts processes in a mount namespace, each as an unprivileged user: in a thread there.

In Linux a mount namespace and a user are a thread's own (namespaces(7), credentials(7)); it is
the C library that keeps all threads of a process alike, so the system calls are made directly.
nsenter(1) does the same in a process of its own, which takes 1.6 of a cold start's 18 ms.
"""

import asyncio
import ctypes
import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sandbox.kernel.process import HostUser

_SETGROUPS, _SETRESUID, _SETRESGID = {"x86_64": (116, 117, 119), "aarch64": (159, 147, 149)}.get(
    platform.machine(), (0, 0, 0)
)
"""System call numbers; cells need one of the two machines anyway (walls/seccomp.py)."""


@dataclass(slots=True)
class NamespaceThread:
    """One thread of a worker that is root. What it starts dies with it (PR_SET_PDEATHSIG)."""

    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "fumehood-namespace_thread", _come_apart)
    )

    async def start[T](self, act: Callable[[], T], *, namespace_fd: int, user: HostUser) -> T:
        """Return what `act` returns, called in that mount namespace as that user.

        Raises OSError where the kernel refuses, and whatever `act` raises.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _act_there, act, namespace_fd, user)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


def _come_apart() -> None:
    """Get a working directory of this thread's own: setns(2) demands it of a mount namespace."""
    os.unshare(os.CLONE_FS)
    _call(_SETGROUPS, 0, None)


def _act_there[T](act: Callable[[], T], namespace_fd: int, user: HostUser) -> T:
    """Act with root kept as the saved user only, which the next exec gives up (execve(2))."""
    os.setns(namespace_fd, os.CLONE_NEWNS)
    _call(_SETRESGID, user.gid, user.gid, 0)
    try:
        _call(_SETRESUID, user.uid, user.uid, 0)
        return act()
    finally:
        _call(_SETRESUID, 0, 0, 0)
        _call(_SETRESGID, 0, 0, 0)


def _call(number: int, *arguments: int | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"system call {number}: {os.strerror(code)}")
