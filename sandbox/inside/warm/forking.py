"""What a warm cell and its warden need around forks; a cold cell loads none of it."""

from __future__ import annotations

import os

from ..kernel import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_before_fork: Any = syscalls.LockedFunction(syscalls.address("PyOS_BeforeFork"))
_after_fork_in_child: Any = syscalls.LockedFunction(syscalls.address("PyOS_AfterFork_Child"))

FOLDER_BYTES = 64
"""The longest name of a run's folder, which comes with its streams."""
_NOBODY_HOLDS_US = 71
"""EX_OSERR of sysexits.h: there is no warden."""
_WNOHANG = 1
_PR_GET_TID_ADDRESS = 40


def be_forked(begin: Callable[[], None], have_again: Callable[[], None], *, id_place: Any) -> None:
    """Wait to be forked by the warden; return in each fork, and never in this process.

    The call that is made here is refused to everybody, and stops a process that is traced
    (SECCOMP_RET_TRACE, seccomp(2)): the warden makes a clone(2) of it, again and again, and this
    process comes no further. Its arguments are those that clone takes last: where the C library
    notes the thread id, which differs in place from one machine to the other.
    The fork calls `begin`, which must not raise, and `have_again`, before the functions that
    packages have registered with os.register_at_fork.
    """
    # As os.fork does: locks of the interpreter that another thread held would stay held in a fork.
    _before_fork()
    if syscalls.call(syscalls.NUMBERS["setns"], -1, 0, None, id_place, id_place) != 0:
        os._exit(_NOBODY_HOLDS_US)
    begin()
    try:
        have_again()
    except OSError as fault:
        os.write(2, b"%s\n" % (str(fault).encode(),))
        os._exit(_NOBODY_HOLDS_US)
    _after_fork_in_child()


def rehearse_fork() -> None:
    """Do what CPython does before a fork and in a child, so that its functions are bound here.

    The loader binds a function at its first call (ld.so(8)): each fork would have to, for those
    that only a child calls. For a process that is single-threaded, before package code.
    """
    _before_fork()
    _after_fork_in_child()


def place_of_id() -> Any:
    """Return a pointer to where the C library notes this thread's id; None where that is unknown.

    Its fork(2) lets the kernel write the child's there (clone(2); the argument that is not for
    it is for a flag that we leave out), else pthread_kill(3) would mean some other thread. The
    kernel was told the place at the start (PR_GET_TID_ADDRESS, prctl(2)); musl tells another.
    """
    answer = syscalls.Room(8)
    if syscalls.call(syscalls.NUMBERS["prctl"], _PR_GET_TID_ADDRESS, answer.pointer) < 0:
        return None
    place = memoryview(answer.here).cast("q")[0]
    noted: Any = syscalls.Int.from_address(place) if place else None
    return syscalls.reference(noted) if place and noted.value == os.getpid() else None


class Wait:
    """Reaps children, with room for what the kernel says of them (wait4(2)).

    os.wait4 would load the module `resource` for the type of its answer.
    """

    def __init__(self) -> None:
        # struct rusage: two timevals and fourteen longs (getrusage(2)).
        self._status, self._usage = syscalls.Room(4), syscalls.Room(144)
        self._times = memoryview(self._usage.here).cast("q")

    def reap(self) -> tuple[int, int, int, int]:
        """Reap a child that is dead: its pid, status, CPU microseconds, and peak resident KiB.

        The pid is 0 where none is dead.
        """
        pid = syscalls.do_at_once("wait4", -1, self._status.pointer, _WNOHANG, self._usage.pointer)
        times = self._times
        cpu_us = (times[0] + times[2]) * 1_000_000 + times[1] + times[3]
        return pid, self._status.numbers[0], cpu_us, times[4]
