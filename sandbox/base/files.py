"""The files that every cell finds in its /etc, whatever host it is on."""

import contextlib
from functools import cache
from pathlib import Path

from sandbox.network import etc

_SHELL = "/bin/sh"
_HOME = "/work/scratch"
_OWN = {
    "passwd": f"cell:x:1000:1000:cell:{_HOME}:{_SHELL}\n".encode(),
    "group": b"cell:x:1000:\n",
    "hosts": b"127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files dns\n",
    "hostname": b"cell\n",
}
_MOST_BYTES = 4_000_000
"""Of a host's file: a large site's cache of libraries has a few hundred kB."""


def etc_files() -> dict[str, bytes]:
    """Return the content of each by its place below /etc."""
    return _OWN | {"mime.types": _mime_types()} | _of_the_host() | etc.trusted("")


@cache
def _mime_types() -> bytes:
    return Path(__file__).with_name("mime.types").read_bytes()


def _of_the_host() -> dict[str, bytes]:
    """Return what goes with the host's libraries, which cells see.

    Where they are (ld.so(8)), by which ldconfig(8) answers and ctypes.util.find_library; and what
    fontconfig goes by, without which libraries that draw text crash.
    """
    found: dict[str, bytes] = {}
    for path in (Path("/etc/ld.so.cache"), *sorted(Path("/etc/fonts").rglob("*.conf"))):
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_size <= _MOST_BYTES:
                found[str(path.relative_to("/etc"))] = path.read_bytes()
    return found
