"""Writing files so that a crash leaves either the old state or the new, never a half."""

import os
from pathlib import Path

from runtime.ids import new_id


def write_whole(path: Path, *, content: bytes) -> None:
    """Put `content` at `path`: written aside, flushed, renamed, and the folder flushed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{new_id()}")
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_file(path: Path) -> None:
    """Wait until the bytes of `path` are on the disk: fsync(2)."""
    _flush(path, flags=os.O_RDONLY)


def flush_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk: fsync(2) of the directory."""
    _flush(folder, flags=os.O_RDONLY | os.O_DIRECTORY)


def _flush(path: Path, *, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
