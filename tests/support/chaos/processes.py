"""Processes of ours that are killed and started again: an appliance, a worker elsewhere."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from support.chaos.clocks import Clock, library

from runtime.problem_table import EXIT_TRY_AGAIN

FUMEHOOD = Path(sys.executable).with_name("fumehood")
STOP_S = 60.0
SETTINGS = {
    "slots": "4",
    "most_attempts": "50",
    "queue_limit": "100000",
    "requests_per_minute": "10000000",
    "reconcile_interval_s": "1",
}
WORDS: Mapping[str, tuple[str, ...]] = {"up": ("--port", "0"), "worker": ()}


@dataclass(slots=True, kw_only=True)
class Process:
    """`fumehood up` or `fumehood worker` in a home; `programs` are its versions, the first ours."""

    does: Literal["up", "worker"]
    home: Path
    settings: Mapping[str, str]
    clock: Clock
    programs: tuple[Path, ...] = (FUMEHOOD,)
    process: subprocess.Popen[str] | None = None

    @property
    def has_own_clock(self) -> bool:
        """Return whether its clock can be set."""
        return library() is not None

    @property
    def log(self) -> Path:
        """Return where its log is."""
        return self.home.with_name(f"{self.does}.log")

    def start(self) -> None:
        """Start it; an appliance has to be ready for clients, a worker is when it is."""
        environ = {n: value for n, value in os.environ.items() if not n.startswith("FUMEHOOD_")}
        chosen = SETTINGS | dict(self.settings)
        environ |= {f"FUMEHOOD_{name.upper()}": value for name, value in chosen.items()}
        # Who is stopped for a while, or whose clock is set, looks as if its event loop were held.
        environ.pop("LOOP_WATCH_FOLDER", None)
        words = [self.programs[0], self.does, *WORDS[self.does], "--json", "--home", self.home]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                words,
                env=environ | dict(self.clock.environ),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        said = self.process.stdout if self.does == "up" else None
        if said and not json.loads(said.readline() or "{}"):
            raise RuntimeError(f"it does not start: see {self.log}")

    def kill(self) -> None:
        """End it at once (SIGKILL), and start it again."""
        self._see_that_it_runs()
        self.signal(signal.SIGKILL)
        self._ended()
        self.start()

    def replace(self) -> None:
        """Stop it in order, and start it again as the next of its versions."""
        self._see_that_it_runs()
        self.stop()
        self.programs = (*self.programs[1:], self.programs[0])
        self.start()

    def _see_that_it_runs(self) -> None:
        """Start it again, as a service manager does, where its database was away as it began."""
        ended = self.process.poll() if self.process else None
        if ended == EXIT_TRY_AGAIN:
            self._ended()
            self.start()
        elif ended is not None:
            raise RuntimeError(f"it ended by itself with {ended}: see {self.log}")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self.process:
            self.process.send_signal(number)

    def stop(self) -> None:
        """Stop it in order; kill it where that takes too long."""
        self.signal(signal.SIGTERM)
        try:
            self._ended()
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._ended()

    def _ended(self) -> None:
        if self.process:
            self.process.wait(timeout=STOP_S)
            if self.process.stdout:
                self.process.stdout.close()

    def below(self) -> list[psutil.Process]:
        """Return the processes that it started: warm cells, runs, judges."""
        if self.process is None:
            return []
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            return []


@contextmanager
def started(process: Process) -> Iterator[Process]:
    """Offer a process that is started; it is stopped afterwards."""
    process.start()
    try:
        yield process
    finally:
        process.stop()
