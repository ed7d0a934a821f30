"""A warm judge, seen from outside: started, asked, metered, and killed when it must be.

It needs nothing but the standard library: who wants a judge soon starts it before all else, and
imports the rest (pydantic is 70 ms) while the judge imports too.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

from frozen.values import frozen
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.wire import LENGTH, STATUS

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}
"""All that a judge inherits: no secret, no setting of ours or of Python's. Whoever hangs code into
models of pydantic is not looked for, either, which is 10 ms."""
CHUNK_BYTES = 1 << 16


@frozen
class Answered:
    """What came of one judgement: the bytes, or which limit it crossed, and what it cost."""

    raw: bytes = b""
    crossed: str = ""
    signal: int = 0
    cpu_ms: float = 0.0
    peak_kb: int = 0


class _CrossedError(Exception):
    """A limit was crossed; the argument names it."""


class JudgeLostError(Exception):
    """The judge was killed while it waited for orders, as when memory ran out: ask another."""


class WarmJudge:
    """One process that forks for each judgement. Not for two threads at once.

    `first` is the module that it will be asked for first, if that is known: it imports that ahead.
    """

    def __init__(self, first: str = "") -> None:
        # Ours to remove: who is killed in the middle of a judgement removes nothing itself.
        self._room = tempfile.TemporaryDirectory(prefix="fumehood-judge-")
        ours, theirs = socket.socketpair()
        call = f"serve({theirs.fileno()}, {first!r})"
        order = f"from wheelhouse.judges.inside import serve; {call}"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", order],
                pass_fds=(theirs.fileno(),),
                env=ENVIRONMENT | {"TMPDIR": self._room.name},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._door = ours
        self.is_alive = True

    def ask(self, order: bytes, *, budget: Budget) -> Answered:
        """Return what a judge answers to `order`; after a kill it `is_alive` no more.

        Raises JudgeLostError where it was gone before.
        """
        deadline = time.monotonic() + budget.wall_s
        try:
            with _pipe() as (inlet, outlet):
                self._send(order, outlet)
                raw = _read(inlet, most=budget.most_bytes, deadline=deadline)
            status, cpu_us, peak_kb = self._status(deadline)
        except _CrossedError as crossed:
            self.kill()
            return Answered(crossed=str(crossed))
        except (EOFError, ConnectionError) as error:
            self.kill()
            raise JudgeLostError from error
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        is_cpu = number == signal.SIGXCPU or cpu_us >= budget.cpu_s * 1e6
        return Answered(
            raw=b"" if number else raw,
            crossed="cpu" if number and is_cpu else "wall" if number == signal.SIGALRM else "",
            signal=number,
            cpu_ms=cpu_us / 1000,
            peak_kb=peak_kb,
        )

    def kill(self) -> None:
        """End the judge and its fork at once."""
        self.is_alive = False
        self._door.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._room.cleanup()

    def _send(self, order: bytes, outlet: int) -> None:
        head = LENGTH.pack(len(order))
        socket.send_fds(self._door, [head], [outlet])
        os.close(outlet)
        self._door.sendall(order)

    def _status(self, deadline: float) -> tuple[int, int, int]:
        """Return how the fork ended; one that has closed its answer may still be running."""
        told = _read(self._door.fileno(), most=STATUS.size, deadline=deadline, exact=True)
        if len(told) < STATUS.size:
            raise EOFError
        return STATUS.unpack(told)


@contextmanager
def _pipe() -> Generator[tuple[int, int]]:
    """Offer both ends of a pipe; the end for writing is the caller's to close."""
    inlet, outlet = os.pipe()
    try:
        yield inlet, outlet
    finally:
        os.close(inlet)


def _read(descriptor: int, *, most: int, deadline: float, exact: bool = False) -> bytes:
    """Return all that comes, up to `most` bytes; what is `exact` ends there."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    content = bytearray()
    while not (exact and len(content) == most):
        left_ms = (deadline - time.monotonic()) * 1000
        if left_ms <= 0 or not waiting.poll(left_ms):
            raise _CrossedError("wall")
        chunk = os.read(descriptor, min(CHUNK_BYTES, most - len(content) + (not exact)))
        if not chunk:
            break
        content += chunk
        if len(content) > most:
            raise _CrossedError("answer")
    return bytes(content)
