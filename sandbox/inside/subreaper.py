"""A cold cell without namespaces: a keeper adopts every orphan and leaves none alive."""

from __future__ import annotations

import os

from . import cold
from .kernel import procfs, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal  # built in; signal brings enum along


def main(fd: int) -> None:
    """Fork the run, wait for it, kill whatever it left, and end as it ended."""
    syscalls.be_subreaper()
    keep(lambda: cold.main(fd), fd)


def keep(run: Callable[[], None], fd: int) -> None:
    """Fork `run`; kill every descendant when it ends, at SIGTERM, or when our parent ends."""
    # Held back before there is a child, so that sigwait(3) hears of one that ends at once; and a
    # SIGTERM that ended the keeper itself would leave its orphans to the host's init.
    _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGTERM, _signal.SIGCHLD})
    syscalls.hear_of_parents_end()
    subreaper = os.getpid()
    pid = os.fork()
    if pid == 0:
        syscalls.die_with_parent()
        if os.getppid() != subreaper:  # it died before it was asked for: nothing is sent (prctl(2))
            os._exit(70)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {_signal.SIGTERM, _signal.SIGCHLD})
        run()
        os._exit(70)
    os.closerange(fd, 65536)
    status = _wait_for(pid)
    kill_descendants()
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)  # 128 and the signal, as a shell tells it (bash(1))


def _wait_for(pid: int) -> int:
    """Return the wait status of `pid`; reap orphans meanwhile; SIGTERM ends the wait."""
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == pid:
            return status
        if ended == 0 and _signal.sigwait({_signal.SIGTERM, _signal.SIGCHLD}) == _signal.SIGTERM:
            os.kill(pid, _signal.SIGKILL)
            return os.waitpid(pid, 0)[1]


def kill_descendants(*, apart_from: int = 0) -> None:
    """Kill until nobody is left but that one: each orphan becomes ours, so none can slip away."""
    while True:
        children = _children() - {apart_from}
        for pid in children:
            try:
                os.kill(pid, _signal.SIGKILL)
            except ProcessLookupError:
                continue
        if not children:
            return
        for pid in children:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                continue


def _children() -> set[int]:
    try:
        return procfs.children(os.getpid())
    except OSError:
        return set()
