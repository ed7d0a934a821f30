"""Lock files that only we can open, waited for a bounded time, by whoever must not wait for ever.

Whoever may open a file, if only to read, may lock it by flock(2) and keep it: so a lock file is
0600, whatever it was before, and its folder is shut. A lock that does not come free in time is an
error that names who holds it (/proc/locks, proc(5)).
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from wheelhouse.errors import LockHeld
from wheelhouse.problem import Problem

MODE = 0o600
LOOK_AGAIN_S = 0.02
PATIENCE_S = 60.0


def open_lock(path: Path, *, flags: int = 0) -> int:
    """Return a descriptor of the lock file at `path`, which is made, and shut to others."""
    wanted = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | flags
    try:
        descriptor = os.open(path, wanted, MODE)
    except FileNotFoundError:
        is_of_locks = path.parent.name.startswith(".")  # and of nothing that cells have to read
        path.parent.mkdir(mode=0o700 if is_of_locks else 0o755, parents=True, exist_ok=True)
        descriptor = os.open(path, wanted, MODE)
    if os.fstat(descriptor).st_mode & 0o077:
        os.fchmod(descriptor, MODE)
    return descriptor


def try_lock(descriptor: int, *, is_shared: bool = False) -> bool:
    """Take the lock, if it is free."""
    how = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def exclusive(path: Path, *, patience_s: float = PATIENCE_S) -> Generator[None]:
    """Hold the lock file at `path` alone; the kernel frees it if we die. Raises LockHeld.

    It sleeps meanwhile: for threads, not for an event loop.
    """
    descriptor, deadline = open_lock(path), time.monotonic() + patience_s
    try:
        while not try_lock(descriptor):
            _refuse_after(deadline, path)
            time.sleep(LOOK_AGAIN_S)
        yield
    finally:
        os.close(descriptor)


@asynccontextmanager
async def held(
    path: Path, *, is_shared: bool = False, flags: int = 0, patience_s: float = PATIENCE_S
) -> AsyncGenerator[int]:
    """Hold the lock file at `path`; the event loop goes on meanwhile. Raises LockHeld."""
    descriptor, deadline = open_lock(path, flags=flags), time.monotonic() + patience_s
    try:
        while not try_lock(descriptor, is_shared=is_shared):
            _refuse_after(deadline, path)
            await asyncio.sleep(LOOK_AGAIN_S)  # another process frees it
        yield descriptor
    finally:
        os.close(descriptor)


def holders(path: Path) -> str:
    """Return which processes hold a lock on `path`, for people; those that can be seen.

    A lock is its open file's, and whoever took it may be gone: then those who have it open.
    """
    status = path.stat()
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    wanted = f"{device}:{status.st_ino}"
    lines = Path("/proc/locks").read_text().splitlines()
    fields = [line.split() for line in lines if "->" not in line]  # which only waits
    pids = dict.fromkeys(words[4] for words in fields if words[5] == wanted)
    living = [pid for pid in pids if Path(f"/proc/{pid}").is_dir()] or list(_openers(status))
    return ", ".join(map(_described, living)) or "a process that cannot be seen from here"


def _openers(wanted: os.stat_result) -> Generator[str]:
    """Yield the other processes that have the file open."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_it = any(os.path.samestat(fd.stat(), wanted) for fd in (process / "fd").iterdir())
            if is_it and process.name != str(os.getpid()):
                yield process.name


def _described(pid: str) -> str:
    with suppress(OSError):
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        return f"process {pid} ({name}, uid {Path(f'/proc/{pid}').stat().st_uid})"
    return f"process {pid}"


def _refuse_after(deadline: float, path: Path) -> None:
    if time.monotonic() > deadline:
        raise LockHeld(
            Problem(
                code="lock-held",
                what=f"{holders(path)} holds it, and did not let it go",
                where=str(path),
                mend="see what that process does; if it is not ours, end it",
            )
        )
