"""The process that writes, seen from the event loop whose process has started it.

One group is under way at a time; what comes meanwhile is the next one. Where the process ends, what
it has not done is handed back, and what it had in hand with its number: whether that was committed,
the database says.
"""

import asyncio
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, cast

from frozen.values import frozen
from runtime.store.databases.apart.wire import Receipt, ended_as, framed, frames_of, receipt_in
from runtime.store.databases.group_commit import MOST_TOGETHER, resolve
from runtime.store.databases.units import Ended, Unit

START_S, END_S = 30.0, 5.0
ANSWER_S = 40.0
"""How long a group may take: the database's lock is waited for ten seconds."""


@frozen
class Sent:
    """A unit of work as it goes across, and as it runs here; who waits for what comes of it."""

    order: bytes
    unit: Unit
    future: asyncio.Future[Any]


@frozen
class Lost:
    """What a process had to do when it ended: `in_hand` is what may have been committed."""

    number: int
    in_hand: Sequence[Sent]
    waiting: Sequence[Sent]
    kept: Awaitable[Receipt | None]
    """What it had kept last, as far as that is known; it is dead by then."""


class WriterApart(asyncio.Protocol):
    """Orders to a process that writes; `on_lost` is told once, when it has ended."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        *,
        answers: int,
        on_lost: Callable[[Lost], None],
        on_not_here: Callable[[Sent], None],
    ) -> None:
        self._process = process
        self.pid = process.pid
        self._answers = answers
        self._on_lost = on_lost
        self._on_not_here = on_not_here
        self.loop = asyncio.get_running_loop()
        self._is_ready: asyncio.Future[None] = self.loop.create_future()
        self._is_idle = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._heard = bytearray()
        self._number = 0
        self._mind = self.loop.call_later(START_S, self.abort)
        self._in_hand: Sequence[Sent] | None = None
        self._waiting: list[Sent] = []

    def add(self, order: bytes, unit: Unit) -> asyncio.Future[Any]:
        """Have a unit run there; return what it will return."""
        future = self.loop.create_future()
        self._waiting.append(Sent(order=order, unit=unit, future=future))
        if self._in_hand is None:
            self._in_hand = ()
            # Not at once: what is added in the same turn of the loop comes in the same group.
            self.loop.call_soon(self._send)
        return future

    async def ready(self, address: str, *, acts: Sequence[Callable[..., Any]]) -> None:
        """Wait until it can write there, and has imported what these functions are from."""
        self._write(pickle.dumps((address, acts)))
        await self._is_ready

    async def close(self) -> None:
        """Let it end once it has nothing more to do."""
        while self._in_hand is not None:
            self._is_idle.clear()
            await self._is_idle.wait()
        if self._transport is not None:
            self._transport.close()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, END_S)

    def abort(self) -> None:
        """Give it up: whatever it has in hand, it shall not commit it later."""
        self._process.kill()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hear of the way to it."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hear a part of an answer, or of several."""
        self._heard += data
        for frame in frames_of(self._heard):
            _, said = pickle.loads(frame)  # noqa: S301 - from our own process
            self._mind.cancel()
            if self._is_ready.done():
                self._heard_of(said)
            else:
                self._is_ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand back what is not done."""
        in_hand, self._in_hand = self._in_hand or (), None
        waiting, self._waiting = self._waiting, []
        self._is_idle.set()
        if not self._is_ready.done():
            self._is_ready.set_exception(exc or EOFError("it ended before it was ready"))
        self._mind.cancel()
        kept = self.loop.run_in_executor(None, self._last_kept)
        self._on_lost(Lost(number=self._number, in_hand=in_hand, waiting=waiting, kept=kept))

    def _send(self) -> None:
        if not self._waiting:
            self._in_hand = None
            self._is_idle.set()
            return
        group, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        self._in_hand = group
        self._number += 1
        self._mind = self.loop.call_later(ANSWER_S, self.abort)
        self._write(pickle.dumps((self._number, [one.order for one in group])))

    def _write(self, payload: bytes) -> None:
        if self._transport is not None:
            self._transport.write(framed(payload))

    def _heard_of(self, said: Sequence[tuple[bool, Any]] | None) -> None:
        group = self._in_hand or ()
        self._send()
        if said is None:
            for one in group:
                self._on_not_here(one)
        else:
            told(group, ended_as(said))

    def _last_kept(self) -> Receipt | None:
        """Return what it kept last, once it can keep and commit no more."""
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with os.fdopen(self._answers, "rb") as file, suppress(Exception):
            return receipt_in(file.read())
        return None  # it was killed while it kept that, so it has not committed


def told(group: Sequence[Sent], ended: Sequence[Ended]) -> None:
    """Tell those who wait what came of their units."""
    resolve((one.future, its_end) for one, its_end in zip(group, ended, strict=True))


async def start(
    address: str,
    *,
    acts: Sequence[Callable[..., Any]],
    on_lost: Callable[[Lost], None],
    on_not_here: Callable[[Sent], None],
) -> WriterApart:
    """Start a process that writes into a file, or a PostgreSQL; return it once it can.

    It needs a third of a second for what `acts` are from, and nothing here waits for it.
    """
    answers = os.memfd_create("fumehood-answers")
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = await asyncio.to_thread(_started, channel=theirs.fileno(), answers=answers)
    except BaseException:  # there is no room for one more process
        ours.close()
        os.close(answers)
        raise
    apart = WriterApart(process, answers=answers, on_lost=on_lost, on_not_here=on_not_here)
    await asyncio.get_running_loop().create_unix_connection(lambda: apart, sock=ours)
    try:
        await apart.ready(address, acts=acts)
    except BaseException:
        apart.abort()
        raise
    return apart


def _started(*, channel: int, answers: int) -> subprocess.Popen[bytes]:
    """Start it with our environment: a driver finds passwords and certificates there."""
    order = f"from runtime.store.databases.apart.inside import serve; serve({channel}, {answers})"
    return subprocess.Popen(
        [sys.executable, "-I", "-c", order],
        pass_fds=(channel, answers),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
