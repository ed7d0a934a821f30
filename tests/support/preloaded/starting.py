"""Starts `fumehood`, by a process that has imported all of it already, or by itself.

An import takes two seconds of processor time and a fork some milliseconds, and tests start
hundreds. What is started is like a real process in all that a test can see of it but what is said
in CONTRIBUTING.md; a test that is about one of those asks for a real start.
"""

import functools
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FUMEHOOD = Path(sys.executable).with_name("fumehood")
PROGRAM = Path(__file__).with_name("fork_server.py")
READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "NO_COLOR", "FORCE_COLOR", "TERMINAL_")
"""What begins the names that the interpreter, or a module, reads when it starts, and never again."""


def start(
    words: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    within: Sequence[str] = (),
    is_real: bool = False,
    **options: Any,
) -> subprocess.Popen[str]:
    """Start the command line; `options` are those of subprocess.Popen.

    `within` is a command that it is started by, such as unshare(1), and `is_real` says that the
    test is about the start itself: either is a process of its own from the first instruction.
    """
    argv = [*map(str, within), str(FUMEHOOD), *map(str, words)]
    if within or is_real:
        return subprocess.Popen(argv, env=dict(environ), text=True, **options)
    return Forked(argv, env=dict(environ), text=True, **options)


class ForkServer:
    """The process that forks the others, from here; it ends when this process does."""

    def __init__(self) -> None:
        theirs, self._orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._read_at_start = read_at_start(os.environ)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, PROGRAM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    @property
    def pid(self) -> int:
        """Return its number."""
        return self._process.pid

    def fork(
        self, words: Sequence[str], *, environ: Mapping[str, str], umask: int, streams: list[int]
    ) -> tuple[int, socket.socket]:
        """Start one process; return its number, and the socket on which its end is told."""
        if read_at_start(environ) != self._read_at_start:
            raise ValueError("a variable is read at start only: ask for a real start (is_real)")
        order = {"words": words, "environ": dict(environ), "folder": str(Path.cwd())}
        order["umask"] = our_umask() if umask == -1 else umask
        heard, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile("w+") as file:
            json.dump(order, file)
            file.seek(0)
            files = [file.fileno(), *streams, theirs.fileno()]
            socket.send_fds(self._orders, [b"!"], files)
        return told(heard), heard

    def close(self) -> None:
        """End it; whatever it forked is asked to stop."""
        self._orders.close()
        self._process.wait()


@functools.cache
def fork_server() -> ForkServer:
    """Return the one of this process, started when it is first wanted."""
    return ForkServer()


def read_at_start(environ: Mapping[str, str]) -> dict[str, str]:
    """Return those variables that a process reads when it starts, and never again."""
    return {name: text for name, text in environ.items() if name.startswith(READ_AT_START)}


def told(heard: socket.socket) -> int:
    """Return the number that the fork server tells."""
    said = heard.recv(32)
    if not said:
        raise RuntimeError("the fork server has ended: what it said is on stderr")
    return int(said)


def our_umask() -> int:
    """Return the umask of this process, which umask(2) tells by setting another."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


class Forked(subprocess.Popen[str]):
    """A process that the fork server made, handled as one that was started here."""

    _heard: socket.socket

    def _execute_child(self, args: list[str], *given: Any) -> None:  # pyright: ignore
        _, _, _, _, _, environ, _, _, _, *pipes = given
        theirs = [pipes[0], pipes[3], pipes[5]]
        streams = [own if one == -1 else one for own, one in enumerate(theirs)]
        self.pid, self._heard = fork_server().fork(
            args, environ=environ, umask=pipes[10], streams=streams
        )
        self._child_created = True
        self._close_pipe_fds(*pipes[:6])

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """Do what waitpid(2) does of a child; it is not ours but the fork server's."""
        ready = select.poll()
        ready.register(self._heard.fileno(), select.POLLIN)
        if not ready.poll(0 if wait_flags & os.WNOHANG else None):
            return 0, 0
        with self._heard:
            return self.pid, told(self._heard)

    def _internal_poll(self, _deadstate: int | None = None, **_: Any) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(False):
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid == self.pid:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode
