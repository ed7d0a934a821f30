"""A home that is one process's alone: an appliance's with its queue inside, or a command's."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import HomeInUse
from wheelhouse.locks import holders, open_lock, try_lock


@contextmanager
def alone_in(home: Path) -> Generator[None]:
    """Hold the home: with the queue inside the process there can be one process only."""
    path = home / "fumehood.lock"
    descriptor = open_lock(path)
    try:
        if not try_lock(descriptor):
            raise HomeInUse(
                f"Another appliance is using {home}: {holders(path)}",
                where=str(home),
                mend="stop it, choose another FUMEHOOD_HOME, or set FUMEHOOD_DOCKET_URL to a Redis",
            )
        yield
    finally:
        os.close(descriptor)
