"""The process that writes, from within: a group comes, is committed, and its answer goes back.

It ends when nobody is at the other end any more. What a terminal or systemd sends to all processes
of a service is not for it: the other end may still have something to write.
"""

import gc
import os
import pickle
import signal
import socket
import sqlite3
from collections.abc import Callable
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

from runtime.store.databases.apart.wire import LENGTH, answer_to, framed, mark_of
from runtime.store.databases.sqlite import SqliteWriter, engine_on
from runtime.store.databases.units import Ended, called

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Kept:
    """Keeps the answer to a group where the other end finds it, before the group is committed.

    Who dies between a commit and its answer has said nothing: then the file `answers` has what
    came of the group, and the mark in the database says whether it was committed.
    """

    def __init__(self, answers: int) -> None:
        self._answers = answers
        self._number = 0
        self._ended: list[Ended] | None = None
        self._payload = b""

    def begin(self, number: int) -> None:
        """Begin with another group."""
        self._number, self._ended = number, None

    def before_commit(self, driver: sqlite3.Connection, ended: list[Ended]) -> None:
        """Keep the answer. Raises NotHereError, and nothing is committed."""
        self._payload = answer_to(self._number, ended)
        os.pwrite(self._answers, framed(self._payload), 0)
        driver.execute(f"PRAGMA user_version={self._number}")
        self._ended = ended

    def answer(self, ended: list[Ended]) -> bytes:
        """Return the answer, now that the group has ended. Raises NotHereError."""
        if ended is self._ended:
            return self._payload
        return answer_to(self._number, ended)  # nothing was committed


def serve(channel: int, answers: int, path: str) -> None:
    """Write into the file `path` what comes through the socket `channel`, until that ends."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    kept = Kept(answers)
    writer = SqliteWriter(engine_on(Path(path)), before_commit=kept.before_commit)
    with socket.socket(fileno=channel) as ours, ours.makefile("rb") as frames:
        _rehearse(_read(frames))
        ours.sendall(framed(pickle.dumps((_mark_in(writer), None))))
        gc.freeze()
        while frame := _read(frames):
            ours.sendall(framed(_answered(frame, writer=writer, kept=kept)))
    writer.close()


def _rehearse(frame: bytes) -> None:
    """Import what the functions are from that will be called."""
    pickle.loads(frame or pickle.dumps(()))  # noqa: S301


def _mark_in(writer: SqliteWriter) -> int:
    (ended,) = writer.commit([mark_of])
    return ended.value


def _answered(frame: bytes, *, writer: SqliteWriter, kept: Kept) -> bytes:
    number, orders = pickle.loads(frame)  # noqa: S301 - from who started this process
    kept.begin(number)
    try:
        return kept.answer(writer.commit([_unit(order) for order in orders]))
    except Exception:
        return pickle.dumps((number, None))


def _unit(order: bytes) -> Callable[[Any], Any]:
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
