"""Watches one run from its request to its end: the clock, the counters, the way out.

The first verdict stands. What the cell claims about itself is believed only where nothing
seen from outside contradicts it.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sandbox import held, protocol
from sandbox.cell import Cell
from sandbox.cgroup import Counted
from sandbox.command import Command, Observe, Report
from sandbox.layout import most_frame_bytes
from sandbox.limits import MIB, Limits
from sandbox.masking import Mask, mask_of, too_short
from sandbox.process import Exit
from sandbox.watchdog import WALL_TASKS, Tree

_TICK_S = 0.05
_FIRST_LOOK_S = 0.005
"""When the standard streams are first watched: most runs are over before, and read then."""
_CHUNK_BYTES = 65_536
"""What is read at a time: a chunk of the shortest messages takes some 10 ms to go through."""
_PIPE_BYTES = 1 << 20
"""The most that a pipe of an ordinary user holds (pipe-max-size, pipe(7))."""
_LINE_BYTES = 16_384
_DRAIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why the run is over. `limit` names what was crossed, with its value and the figure."""

    kind: Literal["done", "ended", "over-limit", "cancelled", "protocol"]
    done: protocol.Done | None = None
    limit: str = ""
    value: float = 0.0
    reached: float = 0.0
    what: str = ""


class Supervision:
    """The watch over one run in one cell."""

    def __init__(self, cell: Cell, command: Command, *, observe: Observe) -> None:
        self._cell = cell
        self._limits = command.limits
        self._leaf = cell.leaf
        self._observe = observe
        self._tree = None if cell.leaf else Tree(cell.tree_pid)
        self._loop = asyncio.get_running_loop()
        self._verdict: asyncio.Future[Verdict] = self._loop.create_future()
        self._frames = protocol.Frames(largest_bytes=most_frame_bytes(command.limits))
        self.mask = mask = mask_of(command.secrets)
        self._said = _Said(
            limits=command.limits, decide=self._decide, observe=_masked(observe, mask)
        )
        self._streams = _Streams(cell, self._said, mask=mask)
        self._unmasked = too_short(command.secrets)
        self._look: asyncio.Future[Verdict | None] | None = None
        """A look that may be under way; it uses the cell's descriptors."""
        self.peak_bytes = 0
        self.ended = Exit(code=0)
        """How the run's process ended, once everything is dead, where that has to be told."""
        self.counted = Counted()
        """The leaf's last counters, once everything is dead."""

    async def watch(
        self, request: bytes, *, cancelled: asyncio.Event | None, grace_s: float
    ) -> Verdict:
        """Give the cell its run and return the verdict, when everything in it is dead."""
        for name in self._unmasked:
            said = f"the secret {name} is too short to be masked in what the run says"
            self._observe(Report(kind="log", data={"level": "warning", "message": said}))
        timer = self._loop.call_later(self._limits.wall_s, self._over_wall)
        self._ticker = self._loop.call_later(_FIRST_LOOK_S, self._first_look)
        tasks: list[asyncio.Task[None]] = []
        if cancelled is not None:
            tasks.append(self._loop.create_task(self._await_cancel(cancelled, grace_s)))
        try:
            self._loop.add_reader(self._cell.channel.fileno(), self._read_channel)
            self._streams.open()
            rest = self._give(request)
            if rest:
                tasks.append(self._loop.create_task(self._give_rest(rest)))
            verdict = await self._verdict
        finally:
            for task in tasks:
                task.cancel()
            timer.cancel()
            self._ticker.cancel()
            if self._look is not None:
                await asyncio.wait((self._look,))
            self._loop.remove_reader(self._cell.channel.fileno())
        await self._cell.end()
        if verdict.kind == "ended" or not self._cell.shows_its_end:
            self.ended = await self._cell.tell()
        await self._streams.drain()
        if self._leaf is not None:
            self.counted = self._leaf.count()
        return self._last_word(verdict)

    @property
    def dropped_log_bytes(self) -> int:
        """How much the run printed that was not kept."""
        return self._said.dropped_bytes

    def _give(self, request: bytes) -> bytes:
        """Send as much of the request as fits; a cell that is dead is found out by its channel."""
        try:
            return request[self._cell.channel.send(request) :]
        except BlockingIOError:
            return request
        except ConnectionError:
            return b""

    async def _give_rest(self, rest: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            await self._loop.sock_sendall(self._cell.channel, rest)

    def _decide(self, verdict: Verdict) -> None:
        if not self._verdict.done():
            self._verdict.set_result(verdict)

    def _over_wall(self) -> None:
        limit = self._limits.wall_s
        self._decide(Verdict(kind="over-limit", limit="wall_s", value=limit, reached=limit))

    async def _await_cancel(self, cancelled: asyncio.Event, grace_s: float) -> None:
        await cancelled.wait()
        self._said.is_cancelled = True
        self._cell.terminate()
        await asyncio.sleep(grace_s)
        self._decide(Verdict(kind="cancelled"))

    def _first_look(self) -> None:
        self._streams.watch()
        self._ticker = self._loop.call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        """Look at the counters; what has to be summed up file by file is, in a thread."""
        if self._leaf is not None and self._cell.layout.has_namespaces:
            self._judge(self._crossed())
        else:
            self._look = self._loop.run_in_executor(None, self._crossed)
            self._look.add_done_callback(self._looked)

    def _looked(self, look: "asyncio.Future[Verdict | None]") -> None:
        """Judge what was seen; a run that cannot be watched does not go on."""
        fault = look.exception()
        if fault is None:
            self._judge(look.result())
        elif not self._verdict.done():
            self._verdict.set_exception(fault)

    def _judge(self, crossed: Verdict | None) -> None:
        if crossed is not None:
            self._decide(crossed)
        elif not self._verdict.done():
            self._ticker = self._loop.call_later(_TICK_S, self._tick)

    def _crossed(self) -> Verdict | None:
        return self._crossed_by_count() or self._crossed_by_files()

    def _crossed_by_count(self) -> Verdict | None:
        limits = self._limits
        if self._leaf is not None:
            counted = self._leaf.count()
            cpu_s, memory_bytes, processes = counted.cpu_s, counted.peak_memory_bytes, 0
            if counted.oom_kills:
                return _over("memory_mb", limits.memory_mb, memory_bytes / MIB)
            memory_bytes = 0
        else:
            assert self._tree is not None  # noqa: S101 – one of the two is there
            cpu_s, memory_bytes, processes = self._tree.measure(
                most_bytes=limits.memory_mb * MIB, most_tasks=limits.processes + WALL_TASKS
            )
            self.peak_bytes = max(self.peak_bytes, memory_bytes)
        if memory_bytes > limits.memory_mb * MIB:
            return _over("memory_mb", limits.memory_mb, memory_bytes / MIB)
        if cpu_s > limits.cpu_s:
            return _over("cpu_s", limits.cpu_s, cpu_s)
        if processes > limits.processes + WALL_TASKS:
            return _over("processes", limits.processes, processes)
        return None

    def _crossed_by_files(self) -> Verdict | None:
        crossed = held.crossed(self._cell, self._limits)
        return None if crossed is None else _over(*crossed)

    def _read_channel(self) -> None:
        self._streams.catch_up()
        try:
            chunk = self._cell.channel.recv(_CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            chunk = b""
        if not chunk:
            self._loop.remove_reader(self._cell.channel.fileno())
            self._channel_closed()
            return
        try:
            for frame in self._frames.feed(chunk):
                if self._said.crossed is not None:
                    self._said.drop(len(frame))
                else:
                    self._hear(protocol.read(frame), len(frame))
        except protocol.ProtocolFault as fault:
            self._decide(Verdict(kind="protocol", what=str(fault)))

    def _hear(self, message: protocol.Message, size_bytes: int) -> None:
        if isinstance(message, protocol.Done):
            kind = "cancelled" if self._said.is_cancelled else "done"
            self._decide(Verdict(kind=kind, done=message))
        elif isinstance(message, Report):
            self._said.report(message, size_bytes)
        else:
            raise protocol.ProtocolFault("a message out of turn")

    def _channel_closed(self) -> None:
        if self._frames.is_torn:
            self._decide(Verdict(kind="protocol", what="the last message is torn"))
        else:
            self._loop.create_task(self._await_end())

    async def _await_end(self) -> None:
        """The channel closed without a word: usually the process is just ending."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._cell.tell(), _DRAIN_S)
        kind = "cancelled" if self._said.is_cancelled else "ended"
        self._decide(Verdict(kind=kind))

    def _last_word(self, verdict: Verdict) -> Verdict:
        """Prefer the limit to its symptom: an OOM kill looks like any SIGKILL from here."""
        if verdict.kind in {"ended", "done"} and self.counted.oom_kills:
            reached = self.counted.peak_memory_bytes / MIB
            return _over("memory_mb", self._limits.memory_mb, reached)
        if self._said.crossed is not None and verdict.kind != "cancelled":
            return self._said.crossed
        return verdict


class _Said:
    """What the run has said so far, against its limits; the surplus is counted, not kept."""

    def __init__(
        self, *, limits: Limits, decide: Callable[[Verdict], None], observe: Observe
    ) -> None:
        self._limits = limits
        self._decide = decide
        self._observe = observe
        self._bytes = 0
        self._lines = 0
        self.dropped_bytes = 0
        self.is_cancelled = False
        self.crossed: Verdict | None = None

    def report(self, report: Report, size_bytes: int) -> None:
        self._bytes += size_bytes
        self._lines += 1
        self._check()
        if self.crossed is None:
            self._observe(report)
        else:
            self.dropped_bytes += size_bytes

    def drop(self, size_bytes: int) -> None:
        """Count what comes after a limit was crossed; to read it would only take time."""
        self.dropped_bytes += size_bytes

    def _check(self) -> None:
        if self.crossed is not None:
            return
        if self._bytes > self._limits.log_kb * 1024:
            self.crossed = _over("log_kb", self._limits.log_kb, self._bytes / 1024)
        elif self._lines > self._limits.log_lines:
            self.crossed = _over("log_lines", self._limits.log_lines, self._lines)
        if self.crossed is not None:
            self._decide(self.crossed)


class _Streams:
    """stdout and stderr, cut into lines.

    Read before each message on the channel, so that what was printed first is told first.
    """

    def __init__(self, cell: Cell, said: _Said, *, mask: Mask | None) -> None:
        self._cell = cell
        self._mask = mask
        self._held_back = mask.longest_bytes if mask else 0
        self._said = said
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, Literal["stdout", "stderr"]] = {}
        self._rest: dict[int, bytes] = {}
        self._closed = asyncio.Event()

    def open(self) -> None:
        self._open = {self._cell.stdout_fd: "stdout", self._cell.stderr_fd: "stderr"}
        self._rest = dict.fromkeys(self._open, b"")

    def catch_up(self) -> None:
        """Read what is there now."""
        for fd in tuple(self._open):
            self._read(fd)

    async def drain(self) -> None:
        """Read what is left in the pipes, as long as anybody could still hold them open.

        At once no more than a pipe holds: a warm cell whose import kept them could write for ever.
        """
        for fd in tuple(self._open):
            for _ in range(_PIPE_BYTES // _CHUNK_BYTES):
                if not self._read(fd):
                    break
        if self._open:
            self.watch()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), _DRAIN_S)
        for fd in tuple(self._open):
            self._close(fd)

    def watch(self) -> None:
        """Read whatever comes, when it comes."""
        for fd in self._open:
            self._loop.add_reader(fd, self._read, fd)

    def _read(self, fd: int) -> bool:
        """Read once; say whether there was anything."""
        try:
            chunk = os.read(fd, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if chunk:
            self._split(fd, chunk)
        else:
            self._close(fd)
        return bool(chunk)

    def _split(self, fd: int, chunk: bytes) -> None:
        *lines, rest = (self._rest[fd] + chunk).split(b"\n")
        for at, line in enumerate(lines):
            if self._said.crossed is not None:
                self._said.drop(sum(map(len, lines[at:])) + len(lines) - at)
                break
            self._line(fd, line, len(line) + 1)
        self._rest[fd] = self._cut(fd, rest)

    def _cut(self, fd: int, rest: bytes) -> bytes:
        """Tell as much of an endless line as is long enough; return what is held back.

        A secret may go on in what is still to come, so as much as the longest is held back.
        """
        most = _LINE_BYTES + self._held_back
        if len(rest) > most and self._mask is not None:
            rest = self._mask.octets(rest)
        while len(rest) > most:
            self._line(fd, rest[:_LINE_BYTES], _LINE_BYTES)
            rest = rest[_LINE_BYTES:]
        return rest

    def _line(self, fd: int, line: bytes, size_bytes: int) -> None:
        shown = line if self._mask is None else self._mask.octets(line)
        report = protocol.stream_report(self._open[fd], shown[:_LINE_BYTES])
        self._said.report(report, size_bytes)

    def _close(self, fd: int) -> None:
        self._loop.remove_reader(fd)
        rest = self._rest[fd] if self._mask is None else self._mask.octets(self._rest[fd])
        for at in range(0, len(rest), _LINE_BYTES):
            self._line(fd, rest[at : at + _LINE_BYTES], len(rest[at : at + _LINE_BYTES]))
        del self._open[fd]
        if not self._open:
            self._closed.set()


def _masked(observe: Observe, mask: Mask | None) -> Observe:
    return observe if mask is None else lambda report: observe(mask.report(report))


def _over(limit: str, value: float, reached: float) -> Verdict:
    return Verdict(kind="over-limit", limit=limit, value=value, reached=round(reached, 3))
