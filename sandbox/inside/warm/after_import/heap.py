"""How the C library's free memory lies before the first fork, which has all of it too."""

from __future__ import annotations

from ...kernel import syscalls

_LOCK_BYTES, _LOCKS, _SCATTERED_BLOCKS = 32, 24, 176
"""What sem_init(3) wants, how many a child makes at most, and free blocks of that size."""


def give_back_what_is_free() -> None:
    """Let the C library return free memory, which would be in each fork's page tables.

    malloc_trim(3) is of the GNU library; others have no such function.
    """
    try:
        trim = syscalls.function("malloc_trim")
    except OSError:
        return
    trim(0)


def gather_free_blocks() -> None:
    """Let the locks that CPython makes anew in a child lie on one page.

    The C library gives out free blocks wherever they are, the latest first: all that there are
    stay taken, but for some that lie beside each other.
    """
    take, free = syscalls.function("malloc"), syscalls.function("free")
    # _LOCKS beside each other, and before them whatever was free here and there.
    blocks = [take(_LOCK_BYTES) for _ in range(_SCATTERED_BLOCKS + _LOCKS)]
    for block in reversed(blocks[_SCATTERED_BLOCKS:]):
        free(syscalls.Word(block))
