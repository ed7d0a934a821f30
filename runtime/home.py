"""The folders of a home, and who may look into them."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import SettingsRefused

LEVEL_FILE = "level.json"
"""Where the best level that this host has shown is noted."""


def make_home(home: Path) -> None:
    """Make the folders of a home. Raises SettingsRefused where that cannot be done."""
    with writable(home):
        _make_folders(home)


@contextmanager
def writable(home: Path) -> Generator[None]:
    """Turn an OSError about what is below `home` into SettingsRefused, with the mend."""
    try:
        yield
    except OSError as error:
        raise SettingsRefused(
            f"{home} cannot hold our data: {error.strerror}",
            where=str(error.filename or home),
            mend="choose another folder with --home or FUMEHOOD_HOME, or make this one writable",
        ) from error


def _make_folders(home: Path) -> None:
    """Make the home: cells' users may cross it and read what they run, and no more.

    A worker that is root starts cells as users of their own, whatever its umask.
    """
    os.umask(0o022)
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(home.stat().st_mode | 0o111)
    for name, mode in {"cache": 0o700, "jobs": 0o700, "blobs": 0o700}.items():
        (home / name).mkdir(exist_ok=True)
        (home / name).chmod(mode)
    for name in ("bundles", "environments", "wheelhouse", "data", "cells"):
        (home / name).mkdir(exist_ok=True)
        (home / name).chmod(0o755)
    database = home / "fumehood.db"
    database.touch(mode=0o600)
    database.chmod(0o600)
