"""Lets a fork end by a signal of its own, as any process does that is not the first of its kind.

A fork is the first process of its pid namespace, and the kernel keeps from such a one every signal
that it has no handler for, when it comes from within (pid_namespaces(7)): alarm(2), abort(3) and
`os.kill(os.getpid(), SIGKILL)` would do nothing. So there are handlers: a few instructions that
end it with 128 and the number, as a shell tells it. Python does not know of them, and takes these
signals for unhandled; its own handlers take their place, and programs that it starts have none.
"""

from __future__ import annotations

import faulthandler
import os

from ..kernel import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal  # built in; signal brings enum along

_READ, _WRITE, _EXEC = 1, 2, 4
_PRIVATE, _ANONYMOUS = 0x02, 0x20
_PAGE_BYTES = 4096
_SA_RESTORER = 0x04000000
"""Without one the kernel of x86-64 starts no handler (arch/x86/kernel/signal_64.c)."""
_MASK_BYTES = 8
_ENDING = (
    *("SIGHUP", "SIGQUIT", "SIGTRAP", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGXCPU"),
    *("SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSYS"),
)
"""Those that a program is sent and may die of. SIGTERM has its own (sigterm.py), faults are not
kept from anybody."""
_CODE = {
    # cmp edi, SIGSYS; jne +5; mov edi, SIGKILL; add edi, 128; mov eax, exit_group; syscall
    "x86_64": "83ff1f7505bf0900000081c780000000b8e70000000f05",
    # cmp w0, SIGSYS; b.ne +8; mov w0, SIGKILL; add w0, w0, 128; mov x8, exit_group; svc 0
    "aarch64": "1f7c0071410000542001805200000211c80b80d2010000d4",
}
"""The filter answers a SIGKILL to oneself with SIGSYS, and with nothing else."""


def end_by_them(is_run: Callable[[], bool]) -> None:
    """Install the handlers; in children that a run forks, which are nobody's first, take them out.

    To be called before faulthandler is switched on: it hands on what it has printed the stack at.
    """
    code = bytes.fromhex(_CODE.get(os.uname().machine, ""))
    place = _placed(code) if code else 0
    if not place:
        return
    numbers = [getattr(_signal, name) for name in _ENDING]
    for number in numbers:
        _set(number, place)

    def leave() -> None:
        if is_run():
            for number in numbers:
                if _signal.getsignal(number) == _signal.SIG_DFL:
                    _set(number, 0)
            faulthandler.disable()
            _set(_signal.SIGABRT, 0)
            faulthandler.enable(2)

    os.register_at_fork(after_in_child=leave)


def _placed(code: bytes) -> int:
    """Put machine code where it may be run; return where, or 0 where that is refused."""
    room = syscalls.in_the_library(
        "mmap", 0, _PAGE_BYTES, _READ | _WRITE, _PRIVATE | _ANONYMOUS, -1, 0
    )
    if room < 0:
        return 0
    held = syscalls.at_an_address(code)
    syscalls.in_the_library("memcpy", room, syscalls.address_of(held), len(code))
    return room if syscalls.in_the_library("mprotect", room, _PAGE_BYTES, _READ | _EXEC) == 0 else 0


def _set(number: int, handler: int) -> None:
    """Set a handler without Python, which would call one of its own later (rt_sigaction(2))."""
    if os.uname().machine == "x86_64":
        action = syscalls.words(handler, _SA_RESTORER, handler, 0)
    else:
        action = syscalls.words(handler, 0, 0)
    syscalls.do("rt_sigaction", number, action, None, _MASK_BYTES)
