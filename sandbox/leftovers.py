"""Removes what a worker left behind that was killed: its cells are dead, their folders are not."""

import contextlib
import re
import shutil
from pathlib import Path

from sandbox import cgroups

_RUN_FOLDER = re.compile(r"(?:cold|warm)-(\d+)-\d+|(?:inside|etc)[\w.-]*\.(\d+)")


def sweep(home: Path) -> None:
    """Remove run folders and cgroups of workers that are gone."""
    for path in home.iterdir():
        found = _RUN_FOLDER.fullmatch(path.name)
        if found is not None and not _is_alive(int(found[1] or found[2])):
            shutil.rmtree(path, ignore_errors=True)
    for folder, pid in cgroups.named("fumehood"):
        if not _is_alive(pid):
            with contextlib.suppress(OSError):
                for leaf in folder.iterdir():
                    if leaf.is_dir():
                        leaf.rmdir()
                folder.rmdir()


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
