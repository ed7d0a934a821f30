"""The processes that write for an appliance, or for a store of a test (`databases.apart`)."""

import psutil


def writers_of(pid: int | None = None) -> list[psutil.Process]:
    """Return those that the process `pid` has started and that live; of this one without it."""
    return [one for one in psutil.Process(pid).children() if writes(one)]


def writes(process: psutil.Process) -> bool:
    """Return whether a process is one of them, and has not ended."""
    try:
        is_over = process.status() == psutil.STATUS_ZOMBIE
        return not is_over and "apart.inside" in " ".join(process.cmdline())
    except psutil.Error:
        return False
