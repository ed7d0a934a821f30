"""A process that has imported what `fumehood` imports, and forks one that runs it on each order.

It is started with the number of a socket, by an interpreter of the environment that `fumehood` is
installed in. An order is one byte with five descriptors: a file that holds the order as JSON, the
three standard streams of the new process, and a socket on which its number is told, and how it
ended (wait(2)) when it has.

What it forks has executed nothing of ours but imports: it ends where this program ends, as the
console script does, with the exit handlers and the flushing of an interpreter that stops.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "fumehood"
LATER = (
    "runtime.appliance.serve",
    "runtime.appliance.trial",
    "runtime.cli.input.settings_in_force",
    "runtime.access.audit_seal",
    "runtime.jobs.webhooks.posting",
    "packages.lock.fetch",
    "python_discovery",
    "asyncpg",
    "docket._redis_memory",
    "docket.tasks",
    "sqlalchemy.dialects.postgresql.asyncpg",
)
"""What is imported after the start only: while a sandbox opens, by who first needs it, by a queue
inside the process, and a PostgreSQL."""
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15


@dataclass(slots=True)
class ForkServer:
    """Takes orders from a socket; knows of each process that it made who wants to hear its end."""

    orders: socket.socket
    running: dict[int, tuple[int, socket.socket]] = field(default_factory=dict)
    """By pidfd (pidfd_open(2)), which is readable once the process has ended."""

    def next_child(self) -> dict[str, Any] | None:
        """Return an order in each child, and None in this process when nobody orders any more."""
        while True:
            # poll(2) and not epoll(7): that would be a descriptor that parent and child share.
            readable = select.poll()
            for number in (self.orders.fileno(), *self.running):
                readable.register(number, select.POLLIN)
            for number, _ in readable.poll():
                if number in self.running:
                    self._tell_end(number)
                    continue
                byte, files, _, _ = socket.recv_fds(self.orders, 1, 5)
                if not byte:
                    return None
                if order := self._fork(*files):
                    return order

    def _fork(self, order: int, *files: int) -> dict[str, Any] | None:
        *streams, report = files
        heard = socket.socket(fileno=report)
        pid = os.fork()
        if pid == 0:
            heard.close()
            return self._settle(order, streams)
        self.running[os.pidfd_open(pid)] = (pid, heard)
        for number in (order, *streams):
            os.close(number)
        heard.send(str(pid).encode())
        return None

    def _settle(self, order: int, streams: list[int]) -> dict[str, Any]:
        """Leave nothing open in a child but its own streams; return its order."""
        os.setsid()
        for number, theirs in enumerate(streams):
            os.dup2(theirs, number)
            os.close(theirs)
        self.orders.close()
        for number, (_, heard) in self.running.items():
            os.close(number)
            heard.close()
        with open(order, "rb") as file:
            return json.load(file)

    def _tell_end(self, number: int) -> None:
        pid, heard = self.running.pop(number)
        os.close(number)
        _, status = os.waitpid(pid, 0)
        with heard:
            # Who asked may have ended meanwhile.
            heard.send(str(status).encode(), socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)


def preload() -> None:
    """Import every command, and what an appliance imports when it has started; run nothing."""
    from runtime.cli.main import COMMANDS

    for place, _ in COMMANDS.values():
        importlib.import_module(place.partition(":")[0])
    for name in LATER:
        importlib.import_module(name)
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise RuntimeError("an import started a thread: a fork would lack it")
    gc.collect()
    gc.freeze()  # what is shared is not looked at again, and so not copied


def become(order: dict[str, Any]) -> None:
    """Be a process that was started as the order says."""
    os.environ.clear()
    os.environ.update(order["environ"])
    time.tzset()
    os.umask(order["umask"])
    os.chdir(order["folder"])
    sys.argv = order["words"]
    sys.orig_argv = [sys.executable, *order["words"]]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # a session of its own gets no Ctrl-C
    libc.prctl(PR_SET_NAME, NAME.encode())  # as execve(2) would of the script: locks name it
    if "sitecustomize" in sys.modules:  # the watch of event loops: it looks at how it was started
        importlib.reload(sys.modules["sitecustomize"])


def main() -> None:
    """Take orders until nobody can give one any more."""
    server = ForkServer(socket.socket(fileno=int(sys.argv[1])))
    sys.path[0] = str(Path(sys.executable).parent)  # as the console script has it
    preload()
    order = server.next_child()
    if order is None:
        return  # what still runs is asked to stop by the kernel
    del server
    become(order)
    from runtime.cli.main import main as fumehood

    sys.exit(fumehood())


if __name__ == "__main__":
    main()
