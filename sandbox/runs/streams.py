"""What a run says, against its limits: reports, and its standard streams cut into lines."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from typing import Literal

from sandbox import protocol
from sandbox.cells.cell import Cell
from sandbox.command import Observe, Report
from sandbox.limits import Limits
from sandbox.runs.masking import Mask
from sandbox.runs.verdict import Verdict, over

CHUNK_BYTES = 65_536
"""What is read at a time: a chunk of the shortest messages takes some 10 ms to go through."""
_PIPE_BYTES = 1 << 20
"""The most that a pipe of an ordinary user holds (pipe-max-size, pipe(7))."""
_LINE_BYTES = 16_384
_DRAIN_S = 2.0
_LAST_LINES = 400
_DRAWN_PER_BYTE = 64
"""So many bytes of what is drawn over count as one of `log_kb`: bars may be drawn for hours, and
to read them for ever would take a processor from the neighbours."""


class Reports:
    """What the run has said so far, against its limits; the surplus is counted, not kept."""

    def __init__(
        self, *, limits: Limits, decide: Callable[[Verdict], None], observe: Observe
    ) -> None:
        self._limits = limits
        self._decide = decide
        self._observe = observe
        self._bytes = 0
        self._drawn_bytes = 0
        self._lines = 0
        self.dropped_bytes = 0
        self.last_errors: deque[str] = deque(maxlen=_LAST_LINES)
        """What came last on stderr, kept or not: where a run was that crashed is there."""
        self.is_cancelled = False
        self.crossed: Verdict | None = None

    def report(self, report: Report, size_bytes: int) -> None:
        """Pass on what it said, unless that is too much; `size_bytes` is what it took to say."""
        if report.kind == "stderr":
            self.last_errors.append(str(report.data["line"]))
        self._bytes += size_bytes
        self._lines += 1
        self._check()
        if self.crossed is None:
            self._observe(report)
        else:
            self.dropped_bytes += size_bytes

    def draw_over(self, size_bytes: int) -> None:
        """Count what a terminal would not show any more; it is thrown away."""
        if size_bytes:
            self._drawn_bytes += size_bytes
            self._check()

    def drop(self, size_bytes: int) -> None:
        """Count what comes after a limit was crossed; to read it would only take time."""
        self.dropped_bytes += size_bytes

    def _check(self) -> None:
        if self.crossed is not None:
            return
        size_bytes = self._bytes + self._drawn_bytes // _DRAWN_PER_BYTE
        if size_bytes > self._limits.log_kb * 1024:
            self.crossed = over("log_kb", self._limits.log_kb, size_bytes / 1024)
        elif self._lines > self._limits.log_lines:
            self.crossed = over("log_lines", self._limits.log_lines, self._lines)
        if self.crossed is not None:
            self._decide(self.crossed)


class Streams:
    """stdout and stderr, cut into lines.

    Read before each message on the channel, so that what was printed first is told first.
    """

    def __init__(self, cell: Cell, reports: Reports, *, mask: Mask | None) -> None:
        self._cell = cell
        self._mask = mask
        self._held_back = mask.longest_bytes if mask else 0
        self._reports = reports
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, Literal["stdout", "stderr"]] = {}
        self._rest: dict[int, bytes] = {}
        self._closed = asyncio.Event()

    def open(self) -> None:
        """Begin to take lines from both."""
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
            for _ in range(_PIPE_BYTES // CHUNK_BYTES):
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
            chunk = os.read(fd, CHUNK_BYTES)
        except BlockingIOError:
            return False
        if chunk:
            self._split(fd, chunk)
        else:
            self._close(fd)
        return bool(chunk)

    def _split(self, fd: int, chunk: bytes) -> None:
        *lines, rest = (self._rest[fd] + chunk).split(b"\n")
        for at, drawn in enumerate(lines):
            if self._reports.crossed is not None:
                self._reports.drop(sum(map(len, lines[at:])) + len(lines) - at)
                break
            line = self._last_drawn(drawn)
            self._line(fd, line, len(line) + 1)
        self._rest[fd] = self._cut(fd, rest)

    def _cut(self, fd: int, rest: bytes) -> bytes:
        """Tell as much of an endless line as is long enough; return what is held back.

        A secret may go on in what is still to come, so as much as the longest is held back.
        """
        rest = self._last_drawn(rest)
        most = _LINE_BYTES + self._held_back
        if len(rest) > most and self._mask is not None:
            rest = self._mask.octets(rest)
        while len(rest) > most:
            self._line(fd, rest[:_LINE_BYTES], _LINE_BYTES)
            rest = rest[_LINE_BYTES:]
        return rest

    def _last_drawn(self, line: bytes) -> bytes:
        last = _last_drawn(line)
        self._reports.draw_over(len(line) - len(last))
        return last

    def _line(self, fd: int, line: bytes, size_bytes: int) -> None:
        line = line.rstrip(b"\r")
        shown = line if self._mask is None else self._mask.octets(line)
        report = protocol.stream_report(self._open[fd], shown[:_LINE_BYTES])
        self._reports.report(report, size_bytes)

    def _close(self, fd: int) -> None:
        self._loop.remove_reader(fd)
        rest = self._rest[fd] if self._mask is None else self._mask.octets(self._rest[fd])
        for at in range(0, len(rest), _LINE_BYTES):
            self._line(fd, rest[at : at + _LINE_BYTES], len(rest[at : at + _LINE_BYTES]))
        del self._open[fd]
        if not self._open:
            self._closed.set()


def _last_drawn(line: bytes) -> bytes:
    """Return what a terminal would show of a line that was drawn over and over (tqdm)."""
    # Not by splitting: 64 KiB of nothing but \r were as many objects, and made neighbours wait.
    states = line.rstrip(b"\r")
    last = states[states.rfind(b"\r") + 1 :]
    return last if len(states) == len(line) else last + b"\r"


def masked(observe: Observe, mask: Mask | None) -> Observe:
    """Return what takes reports with the secrets of the run masked, if it was given any."""
    return observe if mask is None else lambda report: observe(mask.report(report))
