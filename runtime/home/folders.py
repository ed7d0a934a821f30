"""The folders of a home, and who may look into them."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from runtime.faults.errors import SettingsRefused
from runtime.faults.outages import outage_of
from runtime.home.guard import guard_home
from wheelhouse.problem import Problem

LOCKS = ("*.lock", "wheelhouse/.lock", "wheelhouse/.*.lock", "environments/.l*s/*")
"""Where lock files are: whoever may open one may keep it locked."""

LEVEL_FILE = "level.json"
"""Where the best level that this host has shown is noted."""


def locks_of_all(home: Path) -> tuple[Problem, ...]:
    """Return the lock files that others could open, and keep locked; for doctor."""
    return tuple(
        Problem(
            code="lock-of-all",
            what=f"its mode is {path.stat().st_mode & 0o777:04o}: whoever can open it can lock it",
            where=str(path),
            mend=f"`chmod 600 {path}`, or start the appliance, which does it",
        )
        for pattern in LOCKS
        for path in home.glob(pattern)
        if path.is_file() and path.stat().st_mode & 0o077
    )


def make_home(home: Path) -> None:
    """Make the folders of a home, shut to others. Raises SettingsRefused where that fails."""
    with writable(home):
        _make_folders(home)


def homes_around(home: Path) -> tuple[Path, ...]:
    """Return the homes that hold what cells run: `fumehood try` links to folders of another one."""
    shared = (home / name for name in ("environments", "wheelhouse"))
    return tuple({home, *(folder.resolve().parent for folder in shared)})


@contextmanager
def writable(home: Path) -> Generator[None]:
    """Turn an OSError about what is below `home` into SettingsRefused, with the mend.

    A disk that is full or read-only is an outage, and named so.
    """
    try:
        yield
    except OSError as error:
        if outage := outage_of(error):
            raise outage from error
        raise SettingsRefused(
            f"{home} cannot hold our data: {error.strerror}",
            where=str(error.filename or home),
            mend="choose another folder with --home or FUMEHOOD_HOME, or make this one writable",
        ) from error


def _make_folders(home: Path) -> None:
    """Make the home; what cells run is readable below it, whatever our umask.

    A worker that is root starts cells as users of their own. They get there by a bind mount, or
    by a group of their own (sandbox/walls/host.py); the home is shut to all others.
    """
    os.umask(0o022)
    guard_home(home)
    for name, mode in {"cache": 0o700, "jobs": 0o700, "blobs": 0o700}.items():
        (home / name).mkdir(exist_ok=True)
        (home / name).chmod(mode)
    for name in ("bundles", "environments", "wheelhouse", "data", "cells"):
        (home / name).mkdir(exist_ok=True)
        (home / name).chmod(0o755)
    for lock in chain.from_iterable(home.glob(pattern) for pattern in LOCKS):
        lock.chmod(0o600)  # earlier versions made them 0644
    for folder in home.glob("environments/.l*s"):
        folder.chmod(0o700)
    database = home / "fumehood.db"
    database.touch(mode=0o600)
    database.chmod(0o600)
