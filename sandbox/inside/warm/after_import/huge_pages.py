"""Puts the code of the interpreter on huge pages, which a fork takes over at once.

Code that is mapped from its file is not in the page tables of a fork, which finds every bit of
it again by a page fault: some fifty of them, a twentieth of a run. Anonymous memory is, and a
huge page is one entry. It costs a warm cell as much memory as the interpreter has code (4 MiB).
"""

from __future__ import annotations

from ...kernel import syscalls

_HUGE = 1 << 21
_READ, _WRITE, _EXEC = 1, 2, 4
_PRIVATE, _ANONYMOUS = 0x02, 0x20
_MAY_MOVE, _FIXED = 1, 2
_MADV_HUGEPAGE, _MADV_COLLAPSE = 14, 25
_LANDMARK = "PyOS_AfterFork_Child"
"""A function of the interpreter's: it is in its code, wherever that is."""


def move() -> bool:
    """Move the whole huge pages that there are of the interpreter's code; say whether it worked.

    The copy takes the place of the original in one call (mremap(2)), so it may be the code that
    runs just then. Where the kernel has no huge pages to give, everything stays as it was.
    """
    try:
        start, end = _mapped_around(syscalls.address(_LANDMARK))
    except OSError:  # Landlock lets nobody look into /proc where there are no namespaces
        return False
    start, end = _up(start), end // _HUGE * _HUGE
    size = end - start
    if size <= 0:
        return False
    room = syscalls.in_the_library(
        "mmap", 0, size + _HUGE, _READ | _WRITE, _PRIVATE | _ANONYMOUS, -1, 0
    )
    if room < 0:
        return False
    copy = _up(room)
    is_moved = _filled(copy, start, size) and (
        syscalls.in_the_library("mremap", copy, size, size, _MAY_MOVE | _FIXED, start) == start
    )
    syscalls.in_the_library("munmap", room, size + _HUGE)
    return is_moved


def _filled(copy: int, start: int, size: int) -> bool:
    """Copy the code there; say whether it is on huge pages now, and may be run."""
    syscalls.in_the_library("madvise", copy, size, _MADV_HUGEPAGE)
    syscalls.in_the_library("memcpy", copy, start, size)
    is_huge = syscalls.in_the_library("madvise", copy, size, _MADV_COLLAPSE) == 0
    return is_huge and syscalls.in_the_library("mprotect", copy, size, _READ | _EXEC) == 0


def _mapped_around(address: int) -> tuple[int, int]:
    """Return where the mapping of a file begins and ends that nobody may write to (proc(5))."""
    found = [(0, 0, "")]
    with open("/proc/self/maps") as maps:
        for line in maps:
            place, rights, _offset, _device, _inode, *path = line.split()
            if "w" in rights or not path:
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            first, last, name = found[-1]
            if (last, name) == (start, path[0]):
                found[-1] = (first, end, name)
            else:
                found.append((start, end, path[0]))
    return next(((start, end) for start, end, _ in found if start <= address < end), (0, 0))


def _up(address: int) -> int:
    return -(-address // _HUGE) * _HUGE
