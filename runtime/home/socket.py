"""The socket in the home: where the commands of the same user find the appliance."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

SOCKET_NAME = "fumehood.sock"


ADDRESS_NAME = "address"
"""Where the appliance of a home notes at which address browsers find it."""


def address_in(home: Path) -> str:
    """Return the address that the appliance of `home` noted; empty where there is none."""
    try:
        return (home / ADDRESS_NAME).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


@contextmanager
def short_of(home: Path) -> Generator[str]:
    """Offer a path to the socket that is short enough, however long the home's is.

    An address may have 108 bytes (unix(7)); a descriptor of the home makes do with few.
    """
    folder = os.open(home, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET_NAME}"
    finally:
        os.close(folder)
