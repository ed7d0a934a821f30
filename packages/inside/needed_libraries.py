"""Finds shared libraries that an environment's need and nobody has; runs behind the walls, 3.9+.

Read as ld.so(8) reads them, by what elf(5) says of DT_NEEDED. Whatever a file says, it is read
within bounds: what does not look like a library of this machine is passed over.
"""

from __future__ import annotations

import os
import re
import struct
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_FILES, MOST_MISSING = 20_000, 50
MOST_HEADERS, MOST_ENTRIES = 256, 4_096
MOST_NAME_BYTES, MOST_STRINGS_BYTES = 255, 16 << 20
MACHINES = {"x86_64": 62, "aarch64": 183}
CACHE = "/etc/ld.so.cache"
FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRINGS, _STRINGS_BYTES, _SONAME, _RPATH, _RUNPATH = 1, 5, 10, 14, 15, 29
_LIBRARY = re.compile(r"\.so(\.|$)")


class Library:
    """What one file of the environment is called, needs, and where it says to look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.needed: list[str] = []
        self.soname = ""
        self.places: list[str] = []


def run(*, job: Any, **_: Any) -> list[list[Any]]:
    """Return [soname, a file that needs it, how many do] for what is nowhere to be found."""
    root = Path(job.environment)
    libraries = list(_libraries(root))
    inside = {one.path.name for one in libraries} | {one.soname for one in libraries}
    cache = _cache()
    wanting: dict[str, list[str]] = {}
    for one in libraries:
        for name in one.needed:
            if name not in inside and not _is_found(name, one, cache):
                wanting.setdefault(name, []).append(str(one.path.relative_to(root)))
    missing = sorted(wanting.items())[:MOST_MISSING]
    return [[name, paths[0], len(paths)] for name, paths in missing]


def _libraries(root: Path) -> Iterator[Library]:
    count = 0
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            if _LIBRARY.search(name):
                count += 1
                if count > MOST_FILES:
                    return
                read = _read(Path(folder, name))
                if read is not None:
                    yield read


def _read(path: Path) -> Library | None:
    """Return what a library says of itself, or None for what is none of this machine's."""
    try:
        with path.open("rb") as file:
            return _dynamic(Library(path), file)
    except (OSError, ValueError, KeyError, struct.error):
        return None


def _dynamic(library: Library, file: BinaryIO) -> Library | None:
    """Read the dynamic section: tags whose values are places in a table of strings (elf(5))."""
    headers = _headers(file)
    section = next((h for h in headers if h[0] == _DYNAMIC), None)
    if section is None:
        return None
    size = min(section[3], MOST_ENTRIES * 16)
    pairs = list(struct.iter_unpack("<qQ", _at(file, section[1], size - size % 16)))
    single = dict(reversed(pairs))
    table = _table(file, headers, single[_STRINGS], single[_STRINGS_BYTES])
    library.needed = [_text(table, value) for tag, value in pairs if tag == _NEEDED]
    library.soname = _text(table, single[_SONAME]) if _SONAME in single else ""
    told = [_text(table, single[tag]) for tag in (_RUNPATH, _RPATH) if tag in single]
    library.places = [place for text in told for place in text.split(":") if place]
    return library


def _headers(file: BinaryIO) -> list[tuple[int, int, int, int]]:
    """Return type, offset, address and size of each segment. Raises ValueError for others."""
    head = _at(file, 0, 64)
    if head[:6] != b"\x7fELF\x02\x01":  # 64 bits, little-endian
        raise ValueError("no ELF file that can be loaded here")
    if struct.unpack_from("<H", head, 18)[0] != MACHINES.get(os.uname().machine):
        raise ValueError("for another machine")
    (offset,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    if size != 56 or count > MOST_HEADERS:
        raise ValueError("segments of a size that nobody has")
    body = _at(file, offset, size * count)
    told = [struct.unpack_from("<IIQQQQ", body, at) for at in range(0, len(body), size)]
    return [(kind, offset, address, size) for kind, _, offset, address, _, size in told]


def _table(file: BinaryIO, headers: list[tuple[int, int, int, int]], at: int, size: int) -> bytes:
    """Return the table of strings that is at an address once the file is mapped."""
    for kind, offset, address, length in headers:
        if kind == _LOAD and address <= at < address + length:
            return _at(file, offset + at - address, min(size, MOST_STRINGS_BYTES))
    raise ValueError("no strings")


def _at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _text(table: bytes, at: int) -> str:
    end = table.index(b"\0", at, at + 4 * MOST_NAME_BYTES + 1)
    return table[at:end].decode("ascii")


def _cache() -> bytes:
    """Return what ldconfig(8) has found on the host, if it has."""
    try:
        with Path(CACHE).open("rb") as file:
            return file.read(MOST_STRINGS_BYTES)
    except OSError:
        return b""


def _is_found(name: str, library: Library, cache: bytes) -> bool:
    """Say whether the loader finds it where it looks (ld.so(8)), or would not look at all."""
    if "/" in name or len(name) > MOST_NAME_BYTES:
        return "$" in name or Path(name).exists()
    origin = str(library.path.parent)
    own = [re.sub(r"\$\{?ORIGIN\}?", lambda _: origin, place) for place in library.places]
    if any(Path(place, name).exists() for place in [*own, *_folders()]):
        return True
    known = re.findall(rb"/[^\0]*/%s(?=\0)" % (re.escape(name.encode()),), cache)
    return any(Path(os.fsdecode(path)).exists() for path in known)


def _folders() -> list[str]:
    """Return where the loader looks without being told, and where the interpreter's own are."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    by_machine = [f"{place}/{multiarch}" for place in ("/lib", "/usr/lib") if multiarch]
    return [*FOLDERS, *by_machine, f"{sys.base_prefix}/lib"]
