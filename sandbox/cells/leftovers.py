"""Removes what a worker left behind that was killed: its cells are dead, their folders are not."""

import contextlib
import os
import re
import shutil
import signal
from pathlib import Path

from sandbox.cgroups import hierarchy
from sandbox.cgroups.leaf import write_if_there
from sandbox.kernel.waiting import pause

_BOUNDS = {"cpu.cfs_quota_us": "-1", "cpu.max": "max"}
"""What holds back whoever has overdrawn its processors, so that it would die later (let_die)."""
_RUN_FOLDER = re.compile(r"(?:cold|warm)-(\d+)-\d+|(?:inside|etc)[\w.-]*\.by-(\d+)-\w+")


def sweep(home: Path) -> None:
    """Remove run folders and cgroups of workers that are gone."""
    for path in home.iterdir():
        found = _RUN_FOLDER.fullmatch(path.name)
        if found is not None and not _is_alive(int(found[1] or found[2])):
            shutil.rmtree(path, ignore_errors=True)
    left = [folder for folder, pid in hierarchy.named("fumehood") if not _is_alive(pid)]
    for leaf in (leaf for folder in left for leaf in folder.glob("*/")):
        for name, unbounded in _BOUNDS.items():
            if (leaf / name).exists():
                write_if_there(leaf / name, unbounded)
    for folder in left:
        with contextlib.suppress(FileNotFoundError):  # somebody else sweeps too
            for leaf in (path for path in folder.iterdir() if path.is_dir()):
                _end_group(leaf)
            _end_group(folder)


def _end_group(folder: Path) -> None:
    """Kill who is left in a group, as a subreaper would have, and remove it."""
    for _ in range(50):
        with contextlib.suppress(OSError):
            for pid in (folder / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            folder.rmdir()
        if not folder.exists():
            return
        pause(2)


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
