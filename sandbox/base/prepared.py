"""Folders of ours that are made once, by whoever comes first, and shown to cells read-only.

Each is named after what is in it, so that one which is there is right, and two workers that make
the same one beside each other are in nobody's way.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path


def digest(wanted: Mapping[str, bytes]) -> str:
    """Return what tells this content from any other, short enough for a name."""
    return hashlib.sha256(repr(sorted(wanted.items())).encode()).hexdigest()[:16]


def kept(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Return the folder with these files, by their places in it; write it if it is not there."""
    if not folder.exists():
        new = fresh(folder)
        for name, content in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(content)
        publish(new, folder)
    return folder


def fresh(folder: Path) -> Path:
    """Make a folder to prepare `folder` in: ours alone, as others may be about the same.

    It is named after this process, so that it is swept when we are gone (cells/leftovers.py).
    """
    prefix = f"{folder.name}.by-{os.getpid()}-"
    return Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))


def publish(fresh: Path, folder: Path, *, mode: int = 0o644) -> None:
    """Let everybody read it, then move it to its place; somebody else may have been first."""
    for path in [fresh, *fresh.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else mode)
    try:
        fresh.rename(folder)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
