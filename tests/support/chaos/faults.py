"""An appliance that is killed at random moments, and whatever else goes wrong around it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
from support.chaos.record import Struck

FUMEHOOD = Path(sys.executable).with_name("fumehood")
START_S = 60.0
SETTINGS = {
    "slots": "4",
    "most_attempts": "50",
    "queue_limit": "100000",
    "requests_per_minute": "10000000",
    "reconcile_interval_s": "1",
}


@dataclass(slots=True, kw_only=True)
class Victim:
    """A served appliance of one home, started again each time it is killed."""

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        clean = {n: value for n, value in os.environ.items() if not n.startswith("FUMEHOOD_")}
        chosen = SETTINGS | dict(self.settings)
        environ = {f"FUMEHOOD_{name.upper()}": value for name, value in chosen.items()}
        with (self.home.parent / "appliance.log").open("a") as log:
            self.process = subprocess.Popen(
                [FUMEHOOD, "up", "--port", "0", "--json", "--home", self.home],
                env=clean | environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        if not self.process.stdout or not json.loads(self.process.stdout.readline() or "{}"):
            raise RuntimeError(f"the appliance does not start: see {log.name}")

    def kill(self) -> None:
        """End it at once (SIGKILL), and start it again."""
        if self.process:
            self.process.kill()
            self.process.wait()
        self.start()

    def stop(self) -> None:
        """Stop it in order."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(timeout=START_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def cells(self) -> list[psutil.Process]:
        """Return the processes below it: warm cells, runs, judges."""
        if self.process is None:
            return []
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            return []


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[Victim]:
    """Offer an appliance; it is stopped afterwards."""
    victim = Victim(home=home, settings=settings)
    victim.start()
    try:
        yield victim
    finally:
        victim.stop()


def kill_appliance(victim: Victim, _: Random) -> int:
    """Kill the appliance, which is its API and its worker; return how many were killed."""
    victim.kill()
    return 1


def kill_cell(victim: Victim, chance: Random) -> int:
    """Kill one of the processes that the appliance started."""
    cells = victim.cells()
    if not cells:
        return 0
    try:
        chance.choice(cells).kill()
    except psutil.Error:
        return 0  # it has ended meanwhile
    return 1


def pause_appliance(victim: Victim, chance: Random) -> int:
    """Let it stand still for a while (SIGSTOP), as a machine does that is suspended."""
    if victim.process:
        victim.process.send_signal(signal.SIGSTOP)
        time.sleep(chance.uniform(0.2, 1.5))
        victim.process.send_signal(signal.SIGCONT)
    return 0


def is_small(home: Path) -> bool:
    """Return whether the disk of a home is one that may be filled."""
    there = os.statvfs(home)
    return there.f_blocks * there.f_frsize < 1 << 30


def fill_disk(victim: Victim, chance: Random) -> int:
    """Leave no room on the disk of the home for a while; only where that is a small one."""
    filler = victim.home / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue
        time.sleep(chance.uniform(0.5, 2))
    finally:
        filler.unlink(missing_ok=True)
    return 0


type Fault = Callable[[Victim, Random], int]
FAULTS: Mapping[str, tuple[Fault, float]] = {
    "appliance-killed": (kill_appliance, 0.25),
    "cell-killed": (kill_cell, 0.5),
    "appliance-paused": (pause_appliance, 0.1),
    "disk-full": (fill_disk, 0.15),
}
"""What goes wrong, and how often of all times."""


def strike(
    victim: Victim, chance: Random, *, more: Mapping[str, tuple[Fault, float]]
) -> tuple[Struck, int]:
    """Let one thing go wrong; return what it was, and how many processes were killed by it.

    `more` are faults of what the appliance keeps its things in.
    """
    known = {**FAULTS, **more}
    names = list(known)
    weights = [weight for _, weight in known.values()]
    if not is_small(victim.home):
        weights[names.index("disk-full")] = 0.0
    name = chance.choices(names, weights)[0]
    began = time.monotonic()
    killed = known[name][0](victim, chance)
    return Struck(name=name, began=began, ended=time.monotonic()), killed
