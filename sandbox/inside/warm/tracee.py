"""A process that is held by ptrace(2) in the middle of a system call, and makes others instead.

It executes nothing of its own any more: neither code nor memory of a package's can act, but the
kernel still copies the process at a clone(2). Each call costs two stops (12 µs here).
"""

from __future__ import annotations

import os

from ..kernel import syscalls

_SEIZE, _CONT, _SYSCALL = 0x4206, 7, 24
_GETREGSET, _SETREGSET = 0x4204, 0x4205
_GET_RSEQ, _RSEQ_BYTES, _RSEQ_CS_AT, _ENOSYS = 0x420F, 24, 8, 38
"""PTRACE_GET_RSEQ_CONFIGURATION (Linux 5.13), its answer, and where struct rseq has its section."""
_NT_PRSTATUS, _NT_ARM_SYSTEM_CALL = 1, 0x404
_TRACE_SYSGOOD, _TRACE_SECCOMP, _EXIT_KILL = 0x1, 0x80, 0x100000
_SIGTRAP = 5
_ALL = 0x40000000
"""__WALL: children of every kind (wait4(2))."""
_AT_A_CALL = 7 << 16 | _SIGTRAP << 8 | 0x7F
"""PTRACE_EVENT_SECCOMP: a call is about to be made that the filter asks the tracer about."""
_AFTER_A_CALL = (_SIGTRAP | 0x80) << 8 | 0x7F
_STOPPED = 0x7F
_RESTART = {-512, -513, -514, -516}
"""ERESTARTSYS and its kin: a signal came first, and the call has to be made again."""
_MOST_INTERRUPTIONS = 200
_ROOM_BELOW_STACK = 4096


class _Registers:
    """Where one machine keeps a call's number, arguments and result (syscall(2), ptrace(2))."""

    def __init__(
        self, *, count: int, number: int, result: int, arguments: tuple[int, ...], pc: int, sp: int
    ) -> None:
        self.count, self.number, self.result = count, number, result
        self.arguments, self.pc, self.sp = arguments, pc, sp


_MACHINES = {
    # struct user_regs_struct: orig_rax, rax, then rdi rsi rdx r10 r8 r9, rip, rsp
    "x86_64": _Registers(
        count=27, number=15, result=10, arguments=(14, 13, 12, 7, 9, 8), pc=16, sp=19
    ),
    # struct user_pt_regs: x8, x0, then x0 to x5, pc, sp
    "aarch64": _Registers(count=34, number=8, result=0, arguments=(0, 1, 2, 3, 4, 5), pc=32, sp=31),
}
_CALL_BYTES = {"x86_64": 2, "aarch64": 4}
"""How long the instruction is that makes a call: to go back by, so that it is made again."""


class Gone(Exception):
    """The process has ended, or does something that a held process does not."""


class Tracee:
    """A process that stops at a call of its own; `seize` it, let it make the call, then `hold`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._machine = os.uname().machine
        self._at = _MACHINES[self._machine]
        self._room = syscalls.Room(self._at.count * 8)
        self._registers = memoryview(self._room.here).cast("q")
        self._vector = _vector(self._room)
        self._status, self._number = syscalls.Room(4), syscalls.Room(4)
        self._number_vector = _vector(self._number)
        self._held = b""
        self._again = b""
        self._memory = -1

    def seize(self) -> None:
        """Begin to trace it; it dies with this process. Raises OSError where that is refused."""
        self._ptrace(_SEIZE, 0, _TRACE_SYSGOOD | _TRACE_SECCOMP | _EXIT_KILL)

    def hold(self) -> None:
        """Wait until it stops at the call, and remember it there. Raises Gone."""
        self._until(_AT_A_CALL)
        self._read()
        self._held = bytes(self._room.here)
        # From here it comes to the same stop again, and to nothing else: back by one instruction,
        # with the call's number where that instruction takes it from (syscall(2)).
        self._registers[self._at.pc] -= _CALL_BYTES[self._machine]
        self._registers[self._at.result] = (
            self._registers[self._at.number]
            if self._machine == "x86_64"
            else self._registers[self._at.arguments[0]]
        )
        self._again = bytes(self._room.here)
        self._end_restartable_sequence()

    def _end_restartable_sequence(self) -> None:
        """Take away where the kernel would go on when it returns to the process (rseq(2)).

        After a stop it counts as preempted: within a section it goes to the address that the
        section names, which is code of the package's. A page that was shared so gave a run the
        input of the one before it. Raises OSError where that cannot be looked at.
        """
        known = syscalls.call(syscalls.NUMBERS["rseq"], 0, 0, 0, 0)
        if known < 0 and syscalls.last_errno() == _ENOSYS:
            return
        told = syscalls.Room(_RSEQ_BYTES)
        self._ptrace(_GET_RSEQ, _RSEQ_BYTES, told.pointer)
        area = memoryview(told.here).cast("q")[0]
        if area:
            os.pwrite(self._open_memory(), bytes(8), area + _RSEQ_CS_AT)

    def argument(self, index: int) -> int:
        """Return an argument of the call that it is held at."""
        return memoryview(self._held).cast("q")[self._at.arguments[index]]

    def make(self, name: str, *arguments: int) -> int:
        """Let it make another call, and hold it again. Raises OSError, Gone."""
        for _ in range(_MOST_INTERRUPTIONS):
            result = self._make(syscalls.NUMBERS[name], arguments)
            if result >= 0:
                return result
            if result not in _RESTART:
                raise syscalls.refusal(name, -result)
        raise Gone("signals do not let it make a call")

    def place(self, body: bytes, *, above: int = 0) -> int:
        """Put bytes where it keeps nothing, below its stack; return the address. Raises OSError."""
        address = memoryview(self._held).cast("q")[self._at.sp] - _ROOM_BELOW_STACK + above
        os.pwrite(self._open_memory(), body, address)
        return address

    def _open_memory(self) -> int:
        if self._memory < 0:
            self._memory = os.open("/proc/%d/mem" % (self.pid,), os.O_RDWR | os.O_CLOEXEC)
        return self._memory

    def numbers(self, address: int, count: int) -> tuple[int, ...]:
        """Return C ints that a call has left at an address of `place`. Raises OSError."""
        return tuple(memoryview(os.pread(self._memory, 4 * count, address)).cast("i"))

    def _make(self, number: int, arguments: tuple[int, ...]) -> int:
        self._room.here[:] = self._held
        for register, value in zip(self._at.arguments, arguments):  # noqa: B905 – not in 3.9
            self._registers[register] = value
        self._registers[self._at.number] = number
        self._write()
        if self._machine == "aarch64":  # there the number that counts is in no register
            self._number.numbers[0] = number
            self._ptrace(_SETREGSET, _NT_ARM_SYSTEM_CALL, self._number_vector)
        self._ptrace(_SYSCALL)
        self._until(_AFTER_A_CALL)
        self._read()
        result = self._registers[self._at.result]
        self._room.here[:] = self._again
        self._write()
        self._ptrace(_CONT)
        self._until(_AT_A_CALL)
        self._read()
        if self._place_of(self._room.here) != self._place_of(self._held):
            raise Gone("it has come to another call")
        return result

    def _place_of(self, registers: bytes | bytearray) -> tuple[int, ...]:
        """Return where a process stands at a call: its code, its stack, and what it asks for."""
        found, at = memoryview(registers).cast("q"), self._at
        return (found[at.pc], found[at.sp], found[at.number], *(found[one] for one in at.arguments))

    def _until(self, wanted: int) -> None:
        """Wait for that stop; signals on the way are not for a process that does not run."""
        for _ in range(_MOST_INTERRUPTIONS):
            syscalls.do("wait4", self.pid, self._status.pointer, _ALL, None)
            status = self._status.numbers[0]
            if status == wanted:
                return
            if status & 0xFF != _STOPPED:
                raise Gone("it ended")
            if status >> 8 == _SIGTRAP | 0x80:
                break
            self._ptrace(_CONT)
        raise Gone("it does not stop where it should")

    def _read(self) -> None:
        self._ptrace(_GETREGSET, _NT_PRSTATUS, self._vector)

    def _write(self) -> None:
        self._ptrace(_SETREGSET, _NT_PRSTATUS, self._vector)

    def _ptrace(self, request: int, address: int = 0, data: object = 0) -> None:
        syscalls.do_at_once("ptrace", request, self.pid, address, data)


def _vector(room: syscalls.Room) -> bytes:
    """Return a struct iovec for the room (ptrace(2), PTRACE_GETREGSET)."""
    return syscalls.words(syscalls.address_of(room.place), len(room.here))
