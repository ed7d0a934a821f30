"""The warden of a warm cell: never runs package code, and decides what that of the cell may do.

A child of it imports the package (held.py). On each order the kernel makes a fork of that
child, whose parent is the warden (CLONE_PARENT), which tells what the kernel says of its end.
"""

from __future__ import annotations

import os

from ..channel import LENGTH_BYTES, Channel
from ..kernel import scm_rights
from . import forking, tracee
from .held import Imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import net_namespaces
    from .kind import Kind

_UNBORN = 71
"""EX_OSERR of sysexits.h: the kernel would not fork."""
_PATIENCE_US, _IMPATIENCE_US = 500_000, 1_000
"""How long the dead may wait to be reaped, and how long where somebody waits for it."""
_KNOWN_ENDS = 64
"""How many ends are remembered, for the worker may ask how the latest were."""
_ENDED = b'{"kind":"ended","run":"%s","code":%d,"cpu_us":%d,"peak_rss_kb":%d}'


def main(fd: int) -> None:
    """Be the warden of a warm cell that has namespaces."""
    from . import namespaced  # noqa: PLC0415 - the other kind (subreaper_warden.py) does without

    serve(fd, namespaced)


def serve(fd: int, kind: Kind) -> None:
    """Say that we are here, let a child import, hold it, and have it forked for each order.

    The setup comes when every process of the cell is in its cgroup.
    """
    channel = Channel(fd)
    channel.send({"kind": "hello"})
    setup = channel.receive()
    if setup is None:
        return
    forking.rehearse_fork()
    imported = Imported(setup, kind)
    unfit = imported.wait(channel.fileno()) or imported.hold()
    word, text = ("", "") if unfit is None else (unfit.word, unfit.text)
    channel.send({"kind": "warm", "unfit": text, "word": word})
    if unfit is None:
        _Forks(channel, imported, kind).serve()


class _Forks:
    """Has forks made on order, reaps them, and tells how one ended if it is asked.

    The worker sees the ends of most by itself. So nobody waits here for the end of a fork:
    the dead are reaped when the next order comes, or soon.
    """

    def __init__(self, channel: Channel, imported: Imported, kind: Kind) -> None:
        self._channel = channel
        self._imported = imported
        self._kind = kind
        self._wait = forking.Wait()
        self._inbox = scm_rights.Inbox(most_bytes=LENGTH_BYTES, most_fds=3)
        self._ends: dict[str, tuple[int, int, int]] = {}
        self._asked: set[str] = set()
        self._alive: dict[int, tuple[str, net_namespaces.Network | None]] = {}

    def serve(self) -> None:
        """Obey and reap until the worker closes the channel."""
        scm_rights.be_patient(self._channel.fileno(), _PATIENCE_US)
        while True:
            try:
                if not self._obey():
                    return
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
        self._reap()  # whose net namespace the warm cell need not leave then
        try:
            self._fork(order["run"], order["folder"], fds)
        except OSError:  # too many processes just now: this run is lost, not the warm cell
            self._send_end(order["run"], _UNBORN, 0, 0)
        except tracee.Gone:
            return False
        for number in fds:
            os.close(number)
        return True

    def _fork(self, run: str, folder: str, fds: tuple[int, ...]) -> None:
        """Have a fork made, at the second attempt without the dead, which count until reaped."""
        try:
            pid, network = self._imported.fork(folder, fds)
        except OSError:
            self._reap()
            pid, network = self._imported.fork(folder, fds)
        self._alive[pid] = (run, network)

    def _reap(self) -> None:
        while self._alive:
            pid, status, cpu_us, peak_rss_kb = self._wait.reap()
            if pid == 0:
                return
            if pid == self._imported.pid:
                raise SystemExit
            self._be_over(pid, (os.waitstatus_to_exitcode(status), cpu_us, peak_rss_kb))

    def _be_over(self, pid: int, end: tuple[int, int, int]) -> None:
        if pid not in self._alive:  # an orphan of a run
            return
        run, network = self._alive.pop(pid)
        self._kind.end_orphans(self._imported.pid)
        self._imported.give_back(network)
        self._ends[run] = end
        if run in self._asked:
            self._answer(run)
        elif len(self._ends) > _KNOWN_ENDS:
            del self._ends[next(iter(self._ends))]

    def _answer(self, run: str) -> None:
        """Tell how a run ended, now or as soon as it has; until then, look often."""
        if run in self._ends:
            self._send_end(run, *self._ends.pop(run))
            self._asked.discard(run)
        else:
            self._asked.add(run)
        patience_us = _IMPATIENCE_US if self._asked else _PATIENCE_US
        scm_rights.be_patient(self._channel.fileno(), patience_us)

    def _send_end(self, run: str, code: int, cpu_us: int, peak_rss_kb: int) -> None:
        """Tell it in JSON that is written here: the encoder would touch more than all the rest."""
        body = _ENDED % (run.encode(), code, cpu_us, peak_rss_kb)
        self._channel.send_frame(len(body).to_bytes(4, "big") + body)
