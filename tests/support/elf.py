"""Builds tiny shared libraries: what they are called, need, and where they say to look (elf(5))."""

import os
import struct
from collections.abc import Sequence

MACHINES = {"x86_64": 62, "aarch64": 183}
_HEADER_BYTES, _SEGMENT_BYTES = 64, 56


def library(*, needed: Sequence[str] = (), soname: str = "", runpath: str = "") -> bytes:
    """Return a shared library of this machine; nobody can call anything in it."""
    strings = b"\0"
    entries: list[tuple[int, int]] = []
    for tag, text in [*((1, name) for name in needed), (14, soname), (29, runpath)]:
        if text:
            entries.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    at = _HEADER_BYTES + 2 * _SEGMENT_BYTES
    entries += [(5, at), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    where = at + len(strings)
    whole = where + len(dynamic)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    machine = MACHINES[os.uname().machine]
    head += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = _segment(1, 0, whole) + _segment(2, where, len(dynamic))
    return head + segments + strings + dynamic


def _segment(kind: int, offset: int, size: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, 4, offset, offset, offset, size, size, 8)
