"""What killed processes left half-made in a home is swept when an appliance starts there."""

import time
from collections.abc import Iterator
from pathlib import Path

from wheelhouse.durable import remove_tree, sweep_aside
from wheelhouse.upkeep import ABANDONED_AFTER_S


def sweep_home(home: Path, *, is_alone: bool) -> int:
    """Remove half-made uploads, bundles and data folders; return how many.

    Where no other process can be at work in `home` all of them go, else only old ones. The
    wheelhouse and the environments, which `fumehood try` shares, are swept when they are
    pruned and collected.
    """
    older_than_s = 0.0 if is_alone else ABANDONED_AFTER_S
    now = time.time()
    swept = sum(
        sweep_aside(folder, older_than_s=older_than_s, now=now) for folder in _folders(home)
    )
    for upload in (home / "cache").glob("upload-*"):
        if now - upload.lstat().st_mtime >= older_than_s:
            remove_tree(upload)
            swept += 1
    return swept


def _folders(home: Path) -> Iterator[Path]:
    """Yield the folders in which things are made beside their final place."""
    yield from (home / "bundles", home / "data")
    yield from (home / "bundles").glob("*/runnable")
