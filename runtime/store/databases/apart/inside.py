"""The process that writes, from within: a group comes, is committed, and its answer goes back.

It ends when nobody is at the other end any more. What a terminal or systemd sends to all processes
of a service is not for it: the other end may still have something to write.
"""

import gc
import os
import pickle
import signal
import socket
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from typing import cast

from runtime.faults.errors import RuntimeFault
from runtime.store.databases.apart.wire import LENGTH, NotHereError, answer_to, framed
from runtime.store.databases.sqlite import SqliteWriter, engine_on
from runtime.store.databases.units import BeforeCommit, Ended, InDoubt, Unit, Writer, called

POSTGRES = "runtime.store.databases.postgres"
BUSY_MS = 1000
"""How long others that write are waited for here; the thread that it is left to waits for long."""
OFTEN = (5000, 10, 10)
"""How often garbage is looked for: as in the process that this one writes for (serve.py)."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Kept:
    """Keeps the answer to a group where the other end finds it, before the group is committed.

    Who dies between a commit and its answer has said nothing: then the file `answers` has what
    came of the group, and a receipt with which the database says whether it was committed.
    """

    def __init__(self, answers: int) -> None:
        self._answers = answers
        self._number = 0
        self._ended: list[Ended] | None = None
        self._payload = b""

    def begin(self, number: int) -> None:
        """Begin with another group."""
        self._number, self._ended = number, None

    def before_commit(self, receipt: str, ended: list[Ended]) -> None:
        """Keep the answer. Raises NotHereError, and nothing is committed."""
        if not receipt:
            raise NotHereError  # nobody could tell afterwards whether it was committed
        self._payload = answer_to(self._number, ended)
        kept = framed(pickle.dumps((receipt, self._number, self._payload)))
        os.pwrite(self._answers, kept, 0)
        self._ended = ended

    def answer(self, ended: list[Ended]) -> bytes:
        """Return the answer, now that the group has ended. Raises NotHereError."""
        if ended is self._ended:
            return self._payload
        return answer_to(self._number, ended)  # nothing was committed


def serve(channel: int, answers: int) -> None:
    """Write what comes through the socket `channel`, until that ends.

    First comes which database it is, and the functions that will be called: to find them imports
    what they are from.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    kept = Kept(answers)
    with socket.socket(fileno=channel) as ours, ours.makefile("rb") as frames:
        address, _ = pickle.loads(_read(frames))  # noqa: S301 - from who started this process
        writer = _writer_into(address, before_commit=kept.before_commit)
        ours.sendall(framed(pickle.dumps((0, None))))
        gc.freeze()
        gc.set_threshold(*OFTEN)
        while frame := _read(frames):
            ours.sendall(framed(_answered(frame, writer=writer, kept=kept)))
    writer.close()


def _writer_into(address: str, *, before_commit: BeforeCommit) -> Writer:
    """Return what writes into a file, by its path, or into a PostgreSQL."""
    if "://" not in address:
        engine = engine_on(Path(address), busy_ms=BUSY_MS)
        return SqliteWriter(engine, before_commit=before_commit)
    postgres = import_module(POSTGRES)  # its driver is only there where it is wanted
    return cast(Writer, postgres.PostgresWriter(address, before_commit=before_commit))


def _answered(frame: bytes, *, writer: Writer, kept: Kept) -> bytes:
    """Return the answer to a group; ends the process where nobody knows what became of it."""
    number, orders = pickle.loads(frame)  # noqa: S301
    kept.begin(number)
    try:
        return kept.answer(_ended(writer, [_unit(order) for order in orders]))
    except InDoubt as doubt:
        raise SystemExit from doubt  # who started this process finds out
    except Exception:
        return pickle.dumps((number, None))


def _ended(writer: Writer, units: Sequence[Unit]) -> list[Ended]:
    try:
        return writer.commit(units)
    except RuntimeFault as fault:  # the server is away: nothing was committed
        return [Ended(error=fault) for _ in units]


def _unit(order: bytes) -> Unit:
    act, args, kwargs = pickle.loads(order)  # noqa: S301
    return partial(called, act, args, kwargs)


def _read(frames: BufferedReader) -> bytes:
    """Return the next frame; nothing where the other end is gone."""
    head = frames.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return b""
    (length,) = LENGTH.unpack(head)
    payload = frames.read(length)
    return payload if len(payload) == length else b""
