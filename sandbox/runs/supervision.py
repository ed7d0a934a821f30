"""Watches one run from its request to its end: the clock, the counters, the way out.

The first verdict stands. What the cell claims about itself is believed only where nothing
seen from outside contradicts it.
"""

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from sandbox import protocol
from sandbox.cells.cell import Cell
from sandbox.cells.host_libraries import files_mapped, hashed
from sandbox.cgroups.leaf import Counted
from sandbox.command import Command, Observe, OnVerdict, Report
from sandbox.kernel import procfs
from sandbox.kernel.process import Exit
from sandbox.limits import MIB, WALL_TASKS
from sandbox.runs import disk_usage, stacks
from sandbox.runs.masking import mask_of, too_short
from sandbox.runs.streams import CHUNK_BYTES, Reports, Streams, masked
from sandbox.runs.verdict import Verdict, over
from sandbox.walls.messages import most_frame_bytes

if TYPE_CHECKING:
    from sandbox.kernel.process_tree import Tree

_TICK_S = 0.05
_RESPITE = 19
"""How much longer than it took the next sum of a run's files is put off: it takes a twentieth of a
processor at most, which no limit counts. 200,000 files of a run that slept took half of one. What
is on the host's own disk is bounded by nothing else, and is summed up half of the time."""
_FIRST_LOOK_S = 0.005
"""When the standard streams are first watched: most runs are over before, and read then."""
_DRAIN_S = 2.0
_STACK_S, _STACK_LOOKS = 0.05, 20
"""How often it is looked whether a run that is out of time has said where it was: one that gets
few turns of a processor may take long, one that cannot say it is not waited for beyond that."""


def _tree_of(pid: int) -> "Tree":
    from sandbox.kernel.process_tree import Tree  # noqa: PLC0415 – seldom, and psutil is 13 ms

    return Tree(pid)


class Supervision:
    """The watch over one run in one cell."""

    def __init__(
        self,
        cell: Cell,
        command: Command,
        *,
        observe: Observe,
        on_verdict: OnVerdict | None = None,
    ) -> None:
        self._cell = cell
        self._limits = command.limits
        self._leaf = cell.leaf
        self._observe = observe
        self._on_verdict = on_verdict
        self._tree = None if cell.leaf else _tree_of(cell.top_pid)
        self._loop = asyncio.get_running_loop()
        self._verdict: asyncio.Future[Verdict] = self._loop.create_future()
        self._frames = protocol.Frames(largest_bytes=most_frame_bytes(command.limits))
        self.mask = mask = mask_of(command.secrets)
        self._reports = Reports(
            limits=command.limits, decide=self._decide, observe=masked(observe, mask)
        )
        self._streams = Streams(cell, self._reports, mask=mask)
        self._unmasked = too_short(command.secrets)
        self._look: asyncio.Future[Verdict | None] | None = None
        """A look that may be under way; it uses the cell's descriptors."""
        self._overdue: Verdict | None = None
        self._files_due_s = 0.0
        """When its files may be summed up again, by the event loop's clock."""
        self.mapped = cell.mapped
        """Those of the host that the run had mapped, as far as they are still what they were."""
        self.peak_bytes = 0
        self.ended = Exit(code=0)
        """How the run's process ended, once everything is dead, where that has to be told."""
        self.cpu_s = 0.0
        """What was seen of it, where no leaf counts."""
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
        if self._leaf is None:
            self.peak_bytes = max(self.peak_bytes, procfs.peak_bytes(self._cell.hello.pid))
            self.cpu_s = max(self.cpu_s, procfs.cpu_s(self._cell.hello.pid))
        files: list[tuple[str, int]] = []
        if self._cell.start == "cold":  # it waits for its end when it is done: see inside/cold.py
            files = await asyncio.to_thread(files_mapped, self._cell.hello.pid)
        await self._cell.end()
        if files:  # to hash them may take long, in which nobody would watch the limits
            self.mapped = await asyncio.to_thread(hashed, files)
        if verdict.kind == "ended" or not self._cell.shows_its_end:
            self.ended = await self._cell.exit()
        await self._streams.drain()
        if self._leaf is not None:
            self.counted = self._leaf.count()
        return self._last_word(verdict)

    @property
    def stack(self) -> str:
        """Where the run's threads were, if it said so at its end."""
        return stacks.stack(list(self._reports.last_errors))

    @property
    def dropped_log_bytes(self) -> int:
        """How much the run printed that was not kept."""
        return self._reports.dropped_bytes

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
        if self._verdict.done():
            return
        self._verdict.set_result(self._overdue or verdict)
        if self._on_verdict is not None:
            self._on_verdict()

    def _over_wall(self) -> None:
        """Have the run say where it was, and be over whatever it says from now on."""
        limit = self._limits.wall_s
        self._overdue = Verdict(kind="over-limit", limit="wall_s", value=limit, reached=limit)
        self._cell.tell_where()
        self._loop.call_later(_STACK_S, self._decide_once_told, self._overdue, _STACK_LOOKS)

    def _decide_once_told(self, verdict: Verdict, looks: int) -> None:
        if looks == 0 or stacks.place(self.stack):
            self._decide(verdict)
        else:
            self._loop.call_later(_STACK_S, self._decide_once_told, verdict, looks - 1)

    async def _await_cancel(self, cancelled: asyncio.Event, grace_s: float) -> None:
        await cancelled.wait()
        self._reports.is_cancelled = True
        self._cell.tell_where()
        self._cell.terminate()
        await asyncio.sleep(grace_s)
        self._decide(Verdict(kind="cancelled"))

    def _first_look(self) -> None:
        self._streams.watch()
        self._ticker = self._loop.call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        """Look at the counters; what has to be summed up file by file is, in a thread."""
        now_s = self._loop.time()
        is_due = now_s >= self._files_due_s
        if self._leaf is not None and not (
            is_due and disk_usage.is_worth_a_look(self._cell, self._limits)
        ):
            self._judge(self._crossed_by_count())
        else:
            look = self._crossed if is_due else self._crossed_by_count
            self._look = self._loop.run_in_executor(None, look)
            self._look.add_done_callback(partial(self._looked, since_s=now_s))

    def _looked(self, look: "asyncio.Future[Verdict | None]", *, since_s: float) -> None:
        """Judge what was seen; a run that cannot be watched does not go on."""
        if since_s >= self._files_due_s:
            now_s = self._loop.time()
            respite = _RESPITE if self._cell.facts.has_own_disk else 1
            self._files_due_s = now_s + respite * (now_s - since_s)
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
                return over("memory_mb", limits.memory_mb, memory_bytes / MIB)
            memory_bytes = 0
        else:
            assert self._tree is not None  # noqa: S101 – one of the two is there
            cpu_s, memory_bytes, processes = self._tree.measure(
                most_bytes=limits.memory_mb * MIB, most_tasks=limits.processes + WALL_TASKS
            )
            self.peak_bytes = max(self.peak_bytes, memory_bytes)
            self.cpu_s = max(self.cpu_s, cpu_s)
        if memory_bytes > limits.memory_mb * MIB:
            return over("memory_mb", limits.memory_mb, memory_bytes / MIB)
        if cpu_s > limits.cpu_s:
            return over("cpu_s", limits.cpu_s, cpu_s)
        if processes > limits.processes + WALL_TASKS:
            return over("processes", limits.processes, processes)
        return None

    def _crossed_by_files(self) -> Verdict | None:
        crossed = disk_usage.crossed(self._cell, self._limits)
        return None if crossed is None else over(*crossed)

    def _read_channel(self) -> None:
        self._streams.catch_up()
        try:
            chunk = self._cell.channel.recv(CHUNK_BYTES)
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
                if self._reports.crossed is not None:
                    self._reports.drop(len(frame))
                else:
                    self._hear(protocol.read(frame), len(frame))
        except protocol.ProtocolFault as fault:
            self._decide(Verdict(kind="protocol", what=str(fault)))

    def _hear(self, message: protocol.Message, size_bytes: int) -> None:
        if isinstance(message, protocol.Done):
            kind = "cancelled" if self._reports.is_cancelled else "done"
            self._decide(Verdict(kind=kind, done=message))
        elif isinstance(message, Report):
            self._reports.report(message, size_bytes)
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
            await asyncio.wait_for(self._cell.exit(), _DRAIN_S)
        kind = "cancelled" if self._reports.is_cancelled else "ended"
        self._decide(Verdict(kind=kind))

    def _last_word(self, verdict: Verdict) -> Verdict:
        """Prefer the limit to its symptom: an OOM kill looks like any SIGKILL from here."""
        if verdict.kind in {"ended", "done"} and self.counted.oom_kills:
            reached = self.counted.peak_memory_bytes / MIB
            return over("memory_mb", self._limits.memory_mb, reached)
        if self._reports.crossed is not None and verdict.kind != "cancelled":
            return self._reports.crossed
        return verdict
