"""What can go wrong around processes of ours: kills, pauses, clocks, full disks, other versions."""

import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil
from support.chaos.processes import Process
from support.chaos.record import Struck
from support.writers import writes

type Fault = Callable[[Random], int]
"""Lets one thing go wrong, until it is over; returns how many processes were killed by it."""
type Faults = Mapping[str, tuple[Fault, float]]
"""Faults by the name of their kind, with how often each of them happens."""


def of_processes(appliance: Process, *, paused_s: float = 1.5, disk: Path | None = None) -> Faults:
    """Return what can happen to an appliance; its disk is filled where it has a small one."""
    faults: dict[str, tuple[Fault, float]] = {
        "appliance-killed": (killing(appliance), 0.25),
        "cell-killed": (_killing_a_cell(appliance), 0.5),
        "writer-killed": (_killing_the_writer(appliance), 0.25),
        "appliance-paused": (pausing(appliance, most_s=paused_s), 0.1),
    }
    if appliance.has_own_clock:
        faults["clock-set"] = (setting_clock(appliance), 0.1)
    if disk is not None:
        faults["disk-full"] = (_filling(disk), 0.15)
    if len(appliance.programs) > 1:
        faults["appliance-of-another-version"] = (replacing(appliance), 0.15)
    return faults


def killing(process: Process) -> Fault:
    """Return what ends a process at once (SIGKILL), and starts it again."""

    def kill(_: Random) -> int:
        process.kill()
        return 1

    return kill


def _killing_a_cell(appliance: Process) -> Fault:
    def kill_cell(chance: Random) -> int:
        cells = appliance.below()
        if not cells:
            return 0
        try:
            chance.choice(cells).kill()
        except psutil.Error:
            return 0  # it has ended meanwhile
        return 1

    return kill_cell


def _killing_the_writer(appliance: Process) -> Fault:
    """Return what ends the process that writes what comes with every job, where there is one."""

    def kill_writer(_: Random) -> int:
        for process in filter(writes, appliance.below()):
            with suppress(psutil.NoSuchProcess):
                process.kill()
                return 1
        return 0

    return kill_writer


def pausing(process: Process, *, most_s: float) -> Fault:
    """Return what lets a process stand still (SIGSTOP), as a machine does that is suspended."""

    def pause(chance: Random) -> int:
        process.signal(signal.SIGSTOP)
        time.sleep(chance.uniform(0.2, most_s))
        process.signal(signal.SIGCONT)
        return 0

    return pause


def setting_clock(process: Process) -> Fault:
    """Return what sets the clock of a process."""

    def set_clock(chance: Random) -> int:
        process.clock.jump(chance)
        return 0

    return set_clock


def replacing(process: Process) -> Fault:
    """Return what stops a process in order and starts it again as another version."""

    def replace(_: Random) -> int:
        process.replace()
        return 0

    return replace


def _filling(disk: Path) -> Fault:
    """Return what leaves no room on a disk for a while."""

    def fill(chance: Random) -> int:
        filler = disk / "filler"
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

    return fill


class Deck:
    """Which fault is next: each kind once to begin with, and then by how often each happens."""

    def __init__(self, faults: Faults, *, chance: Random) -> None:
        self._faults = faults
        self._chance = chance
        self._unseen = sorted(faults)
        chance.shuffle(self._unseen)

    @property
    def has_unseen(self) -> bool:
        """Return whether there is a kind that has not happened yet."""
        return bool(self._unseen)

    def strike(self) -> tuple[Struck, int]:
        """Let one thing go wrong; return what it was, and how many were killed by it."""
        name = self._unseen.pop() if self._unseen else self._drawn()
        began = time.monotonic()
        killed = self._faults[name][0](self._chance)
        return Struck(name=name, began=began, ended=time.monotonic()), killed

    def _drawn(self) -> str:
        weights = [weight for _, weight in self._faults.values()]
        return self._chance.choices(list(self._faults), weights)[0]
