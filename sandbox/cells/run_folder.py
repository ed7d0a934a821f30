"""A run's folder on the host: made, filled and removed where package code may swap any name.

Without namespaces a warm cell may write below its own folder, since its forks have to, and its
import may put a link wherever a run's folder will be. So everything in there is reached by
descriptor (openat2.py), and nothing of ours is linked into it.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import IO

from sandbox.command import Input
from sandbox.errors import CellLostError, CellUnstartableError, InputUnplaceableError
from sandbox.kernel import openat2
from sandbox.kernel.process import HostUser, creating_as

_CHUNK_BYTES = 1 << 20
_PAGE_BYTES = 4096
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make(folder: Path, *, writable: Iterable[str], user: HostUser | None) -> None:
    """Make a run's folder with its input folder, and `writable` ones that are the user's.

    Raises CellUnstartableError where something is in the way.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        within_fd = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.mkdir(folder.name, dir_fd=within_fd)
            with openat2.opened(within_fd, folder.name, os.O_DIRECTORY) as fd:
                _furnish(fd, writable, user)
        finally:
            os.close(within_fd)
    except OSError as fault:
        raise CellUnstartableError(
            f"{folder} cannot be made: {fault}", mend="see what is in its place"
        ) from fault


def open_part(folder: Path, part: str) -> int:
    """Return a descriptor of the run's input, scratch or output folder. Raises OSError."""
    return openat2.folder(folder.parent, f"{folder.name}/{part}")


def place_inputs(inputs: Iterable[Input], folder: Path, *, by_link: bool) -> None:
    """Put each input in the run's input folder, by hard link if `by_link` and possible.

    A link is the original: whoever may write to it changes what the host has. Raises
    InputUnplaceableError.
    """
    for item in inputs:
        with _placing(item):
            fd = open_part(folder, "input")
            try:
                _place(item, fd, by_link=by_link)
            finally:
                os.close(fd)


def copy_inputs(inputs: Iterable[Input], folder_fd: int, *, user: HostUser) -> None:
    """Copy each input to a folder of a fork's own, as its user.

    Raises InputUnplaceableError for a file of ours, CellLostError for what the fork has there.
    """
    for item in inputs:
        with _placing(item):
            source = item.source.open("rb")
        with source:
            try:
                with creating_as(user):
                    target = os.open(item.name, _FRESH, 0o444, dir_fd=folder_fd)
                _fill(target, source)
            except OSError as fault:
                raise CellLostError(
                    f"the fork takes no inputs: {fault}", mend="the run is started again"
                ) from fault


def copied_bytes(inputs: Iterable[Input]) -> int:
    """Return how much memory copies of the inputs take. Raises InputUnplaceableError."""
    total = 0
    for item in inputs:
        with _placing(item):
            total += -(-item.source.stat().st_size // _PAGE_BYTES) * _PAGE_BYTES
    return total


@contextlib.contextmanager
def _placing(item: Input) -> Generator[None]:
    """Turn what is wrong with an input into InputUnplaceableError."""
    if Path(item.name).name != item.name or item.name in {"", ".", ".."}:
        raise InputUnplaceableError(
            f"{item.name!r} is not a plain file name", mend="rename the input"
        )
    try:
        yield
    except OSError as fault:
        raise InputUnplaceableError(
            f"{item.source} cannot be put in sight of the cell: {fault}", mend="check the file"
        ) from fault


def remove(folder: Path) -> None:
    """Remove what a cell may have made as deep and as unreadable as it liked.

    rm(1) walks by descriptor and without recursion; shutil.rmtree fails at a thousand levels. It
    comes first: inputs may be links to what is kept, whose modes chmod(1) would change. What is
    left then is a cell's own, since inputs are in a folder that no cell can write to.
    """
    if folder.is_symlink():  # chmod(1) would follow it
        folder.unlink()
        return
    _run("rm", "-rf", "--", folder)
    if folder.exists():
        _run("chmod", "-R", "u+rwX", "--", folder)
        _run("rm", "-rf", "--", folder)


def _run(*command: str | Path) -> None:
    subprocess.run(command, capture_output=True, check=False)


def _furnish(fd: int, writable: Iterable[str], user: HostUser | None) -> None:
    os.mkdir("input", dir_fd=fd)
    for part in writable:
        os.mkdir(part, 0o700, dir_fd=fd)
    if user is None or not tuple(writable):
        return  # with namespaces the folder is used again, by a cell with another user
    for part in writable:
        os.chown(part, user.uid, user.gid, dir_fd=fd, follow_symlinks=False)
    # the cell's user is in no group but its own: neighbours' users and all others stay outside
    for part, mode in {"input": 0o750, ".": 0o710}.items():
        os.chown(part, -1, user.gid, dir_fd=fd, follow_symlinks=False)
        os.chmod(part, mode, dir_fd=fd)


def _place(item: Input, fd: int, *, by_link: bool) -> None:
    """Link the file, unless the cell's user could not read it: its permissions are its owner's."""
    if by_link and os.stat(item.source).st_mode & 0o444 == 0o444:  # noqa: PTH116 – one call
        try:
            os.link(item.source, item.name, dst_dir_fd=fd)
        except OSError:
            _copy(item, fd)
    else:
        _copy(item, fd)


def _copy(item: Input, fd: int) -> None:
    with item.source.open("rb") as source:
        _fill(os.open(item.name, _FRESH, 0o444, dir_fd=fd), source)


def _fill(target: int, source: IO[bytes]) -> None:
    with os.fdopen(target, "wb") as copy:
        os.fchmod(target, 0o444)
        shutil.copyfileobj(source, copy, _CHUNK_BYTES)
