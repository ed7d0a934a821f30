"""cgroups: a leaf of its own for every run, v2 where delegated, v1 where that is mounted.

A leaf is made before its run and removed after it; the run's first process is moved in before
it is given anything to do, so every descendant is counted.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sandbox.cgroups.leaf import ROOT, Hierarchy, lines_of_own_groups
from sandbox.cgroups.v1 import Separate
from sandbox.cgroups.v2 import Unified


def delegated(name: str) -> Hierarchy | None:
    """Return the hierarchy that this process may use below the folder `name`, if there is one.

    Found out by making the folder and turning the controllers on, not by reading versions.
    """
    for kind in (Unified, Separate):
        try:
            return kind(name)
        except OSError:
            continue
    return None


def named(name: str) -> Iterator[tuple[Path, int]]:
    """Yield the folders `name`-PID-… beside our own groups, with the pid of who made them.

    Others may call theirs nearly so: those are left alone.
    """
    for controller, path in lines_of_own_groups():
        own = ROOT / controller / path.lstrip("/")
        with contextlib.suppress(OSError):
            for folder in own.glob(f"{name}-*"):
                pid = folder.name.split("-")[1]
                if pid.isdecimal():
                    yield folder, int(pid)
