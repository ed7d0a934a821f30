"""A warm cell: imports once, then forks a fully walled process for each run.

The fork is a one-shot cell that waits with its walls already shut; nothing that a run does
reaches this process, which only ever reads fork orders and waits for ended children.
"""

from __future__ import annotations

import gc
import os
import sys

from . import (
    birth,
    call,
    cold,
    heap,
    hugetext,
    kept,
    lasting,
    mail,
    rehearsal,
    run,
    syscalls,
    terminating,
    walls,
)
from .channel import LENGTH_BYTES, Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    import _signal  # built in; signal brings enum along


_UNBORN = 71
"""EX_OSERR of sysexits.h: the kernel would not fork."""
_PATIENCE_US, _IMPATIENCE_US = 500_000, 1_000
"""How long the dead may wait to be reaped, and how long where somebody waits for it."""
_KNOWN_ENDS = 64
"""How many ends are remembered, for the worker may ask how the latest were."""
_ENDED = b'{"kind":"ended","run":"%s","code":%d,"cpu_us":%d,"peak_rss_kb":%d}'


def main(fd: int) -> None:
    """Import what the setup names; say whether this process is fit to be forked; serve."""
    channel = Channel(fd)
    setup = channel.receive()
    if setup is None:
        return
    syscalls.rehearse_fork()
    cold.prepare(setup)
    listener = terminating.Listener()
    walls.shut_around_import(setup)
    unfit = _preload(setup) or _unfitness(fd)
    call.flush_streams()
    if unfit:
        channel.send({"kind": "warm", "unfit": unfit})
        os._exit(0)
    nursery = _Nursery(channel, setup, listener)
    rehearsal.rehearse(listener)
    _share(nursery)
    channel.send({"kind": "warm", "unfit": ""})
    nursery.serve()


def _share(nursery: _Nursery) -> None:
    """Let forks share as much as can be of what is in memory now, until they write to it."""
    gc.collect()
    hugetext.move()
    lasting.keep(nursery)
    heap.give_back_what_is_free()
    heap.gather_free_blocks()
    gc.freeze()


def _preload(setup: dict[str, Any]) -> str:
    cold.honour_pth_files(setup["environment_path"])
    try:
        for name in setup["preload"]:
            call.import_module(name)
    except BaseException:
        return "preload failed: " + _traceback()[-2000:]
    return ""


def _traceback() -> str:
    """Return the traceback at hand; the module stays out of a warm cell where all is well."""
    return __import__("traceback").format_exc()


def _unfitness(fd: int) -> str:
    """Return why a fork of this process would not be a fresh process, or nothing."""
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        return "preload left %d threads running" % (threads - 1,)
    shared = _shared_memory()
    if shared:
        return "preload left memory that forks would share: " + shared
    if not all(map(_is_open, (0, 1, 2))):
        return "preload closed a standard stream"
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
    """Forks on order, reaps, and tells how a child ended if it is asked.

    The worker sees the ends of most by itself. So nobody waits here for the end of a child:
    the dead are reaped when the next order comes, or soon.
    """

    def __init__(
        self, channel: Channel, setup: dict[str, Any], listener: terminating.Listener
    ) -> None:
        self._channel = channel
        self._listener = listener
        self._setup = setup
        self._birth = birth.Birth(setup) if setup["mounts"] is not None else None
        self._networks = _networks(setup)
        self._wait = syscalls.Wait()
        self._inbox = mail.Inbox(most_bytes=LENGTH_BYTES, most_fds=3)
        self._ends: dict[str, tuple[int, int, int]] = {}
        self._asked: set[str] = set()
        self._children: dict[int, tuple[str, walls.Network | None]] = {}

    def serve(self) -> None:
        """Fork and reap until the worker closes the channel."""
        mail.be_patient(self._channel.fileno(), _PATIENCE_US)
        while True:
            try:
                if not self._obey():
                    os._exit(0)
            except (BlockingIOError, InterruptedError):
                pass
            self._reap()

    def _obey(self) -> bool:
        order, fds = self._channel.receive_with_fds(self._inbox)
        if order is None:
            return False
        if "how" in order:
            self._reap()
            self._answer(order["how"])
            return True
        network = None if self._networks is None else self._networks.enter()
        try:
            pid = self._fork(order["folder"], fds)
        except OSError:  # too many processes just now: this run is lost, not the warm cell
            self._give_back(network)
            self._tell(order["run"], _UNBORN, 0, 0)
        else:
            self._children[pid] = (order["run"], network)
        for number in fds:
            os.close(number)
        return True

    def _fork(self, folder: str, fds: tuple[int, ...]) -> int:
        pid = os.fork() if self._birth is None else self._birth.fork(folder, fds)
        if pid == 0:
            try:
                self._live(folder, fds)
            except BaseException:
                sys.stderr.write(_traceback())
                call.flush_streams()
            finally:
                os._exit(70)
        return pid

    def _live(self, folder: str, fds: tuple[int, ...]) -> None:
        """Be a fork, and serve one run; whoever shares our root shuts its walls here."""
        if self._birth is not None:
            syscalls.end(run.serve(self._channel, self._listener))
        _be_born(fds)
        own = _of_run(self._setup, folder)
        cold.make_home(own["scratch_dir"])
        syscalls.be_subreaper()
        kept.keep(lambda: self._settle(own), 3)

    def _settle(self, setup: dict[str, Any]) -> None:
        """Shut the walls of a fork that shares our root, and serve its run."""
        walls.make_scratch(setup["scratch_dir"])
        channel = Channel(3)
        cold.settle(channel, setup, walls.of_fork(setup))
        syscalls.end(run.serve(channel, self._listener))

    def _reap(self) -> None:
        while self._children:
            pid, status, cpu_us, peak_rss_kb = self._wait.reap()
            if pid == 0:
                return
            run, network = self._children.pop(pid)
            self._give_back(network)
            self._ends[run] = (os.waitstatus_to_exitcode(status), cpu_us, peak_rss_kb)
            if run in self._asked:
                self._answer(run)
            elif len(self._ends) > _KNOWN_ENDS:
                del self._ends[next(iter(self._ends))]

    def _answer(self, run: str) -> None:
        """Tell how a run ended, now or as soon as it has; until then, look often."""
        if run in self._ends:
            self._tell(run, *self._ends.pop(run))
            self._asked.discard(run)
        else:
            self._asked.add(run)
        patience_us = _IMPATIENCE_US if self._asked else _PATIENCE_US
        mail.be_patient(self._channel.fileno(), patience_us)

    def _tell(self, run: str, code: int, cpu_us: int, peak_rss_kb: int) -> None:
        """Tell it in JSON that is written here: the encoder would touch more than all the rest."""
        body = _ENDED % (run.encode(), code, cpu_us, peak_rss_kb)
        self._channel.send_frame(len(body).to_bytes(4, "big") + body)

    def _give_back(self, network: walls.Network | None) -> None:
        if self._networks is not None and network is not None:
            self._networks.give_back(network)


def _networks(setup: dict[str, Any]) -> walls.Networks | None:
    """Return where runs get their net namespaces; None where a run has the worker's network."""
    if setup["mounts"] is None or not setup["own_network"]:
        return None
    walls.own_user_namespace()
    return walls.Networks()


def _be_born(fds: tuple[int, ...]) -> None:
    """Become a process of its own: own descriptors, own session, no signals held back."""
    channel_fd, stdout_fd, stderr_fd = fds
    os.dup2(stdout_fd, 1)
    os.dup2(stderr_fd, 2)
    os.dup2(channel_fd, 3)
    syscalls.die_with_parent()
    os.setsid()
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


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
