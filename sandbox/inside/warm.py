"""A warm cell: imports once, then forks a fully walled process for each run.

The fork is a one-shot cell that waits with its walls already shut; nothing that a run does
reaches this process, which only ever reads fork orders and waits for ended children.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import sys
import traceback

from . import call, cold, entropy, kept, syscalls, walls
from .channel import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(fd: int) -> None:
    """Import what the setup names; say whether this process is fit to be forked; serve."""
    channel = Channel(fd)
    setup = channel.receive()
    if setup is None:
        return
    cold.prepare(setup)
    walls.shut_around_import(setup)
    call.limit(setup["warm_rlimits"])
    unfit = _preload(setup) or _unfitness(fd)
    call.flush_streams()
    channel.send({"kind": "warm", "unfit": unfit})
    if unfit:
        os._exit(0)
    gc.collect()
    gc.freeze()
    _Nursery(channel, setup).serve()


def _preload(setup: dict[str, Any]) -> str:
    cold.honour_pth_files(setup["environment_path"])
    try:
        for name in setup["preload"]:
            call.import_module(name)
    except BaseException:
        return "preload failed: " + traceback.format_exc()[-2000:]
    return ""


def _unfitness(fd: int) -> str:
    """Return why a fork of this process would not be a fresh process, or nothing."""
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        return "preload left %d threads running" % (threads - 1,)
    shared = _shared_memory()
    if shared:
        return "preload left memory that forks would share: " + shared
    listing = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY)
    extra = {int(name) for name in os.listdir(listing)} - {0, 1, 2, fd, listing}
    os.close(listing)
    open_now = sorted(number for number in extra if _is_open(number))
    if open_now:
        return "preload left open: " + ", ".join(_describe(number) for number in open_now)
    try:
        os.waitpid(-1, os.WNOHANG)
        return "preload left child processes running"
    except ChildProcessError:
        return ""


def _shared_memory() -> str:
    """Return a mapping that forks would share with each other, if there is one (proc(5))."""
    with open("/proc/self/maps") as maps:
        shared = [line.split() for line in maps if line.split()[1][1:4:2] == "ws"]
    return " ".join(shared[0][5:]) or "anonymous memory" if shared else ""


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _describe(number: int) -> str:
    try:
        return os.readlink("/proc/self/fd/%d" % (number,))
    except OSError:
        return "descriptor %d" % (number,)


class _Nursery:
    """Forks on order; reports each child's end with its status and usage."""

    def __init__(self, channel: Channel, setup: dict[str, Any]) -> None:
        self._channel = channel
        self._setup = setup
        self._children: dict[int, tuple[int, str]] = {}
        self._poll = select.poll()
        self._poll.register(channel.fileno(), select.POLLIN)

    def serve(self) -> None:
        """Fork and reap until the worker closes the channel."""
        while True:
            for number, _events in self._poll.poll():
                if number in self._children:
                    self._reap(number)
                elif not self._obey():
                    os._exit(0)

    def _obey(self) -> bool:
        order, fds = self._channel.receive_with_fds(3)
        if order is None:
            return False
        pid = self._fork(order["folder"], fds)
        for number in fds:
            os.close(number)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (pid, order["run"])
        self._poll.register(pidfd, select.POLLIN)
        return True

    def _fork(self, folder: str, fds: tuple[int, ...]) -> int:
        setup = self._setup
        if setup["mounts"] is None:
            pid = os.fork()
        else:
            pid = syscalls.fork_into(walls.fork_flags(own_network=setup["own_network"]))
        if pid == 0:
            try:
                _be_born(setup, folder, fds)
            except BaseException:
                sys.stderr.write(traceback.format_exc())
                call.flush_streams()
            os._exit(70)
        return pid

    def _reap(self, pidfd: int) -> None:
        pid, run = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _pid, status, usage = os.wait4(pid, 0)
        self._channel.send(
            {
                "kind": "ended",
                "run": run,
                "code": os.waitstatus_to_exitcode(status),
                "cpu_s": usage.ru_utime + usage.ru_stime,
                "peak_rss_kb": usage.ru_maxrss,
            }
        )


def _be_born(setup: dict[str, Any], folder: str, fds: tuple[int, ...]) -> None:
    """Become the run's own process: own descriptors, own view, own randomness, no rights."""
    channel_fd, stdout_fd, stderr_fd = fds
    os.dup2(stdout_fd, 1)
    os.dup2(stderr_fd, 2)
    os.dup2(channel_fd, 3)
    os.closerange(4, 65536)
    syscalls.die_with_parent()
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    entropy.reseed()
    if setup["mounts"] is not None:
        walls.furnish(folder, setup)
        _serve(setup)
    else:
        own = _of_run(setup, folder)
        syscalls.be_subreaper()
        kept.keep(lambda: _serve(own), 3)


def _of_run(value: Any, folder: str) -> Any:
    """Return the setup with the run's own folder wherever it says {run}."""
    if isinstance(value, str):
        return value.replace("{run}", folder)
    if isinstance(value, (list, tuple)):
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        return [_of_run(item, folder) for item in items]
    if isinstance(value, dict):
        pairs: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return {name: _of_run(item, folder) for name, item in pairs.items()}
    return value


def _serve(setup: dict[str, Any]) -> None:
    walls.make_scratch(setup["scratch_dir"])
    cold.serve(Channel(3), setup)
