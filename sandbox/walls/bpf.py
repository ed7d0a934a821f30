"""Classic BPF as seccomp takes it: one instruction, and the few shapes that filters are made of.

A filter reads the call's number and the halves of its arguments (struct seccomp_data), and ends in
an answer. seccomp(2), Documentation/networking/filter.
"""

from collections.abc import Iterable, Sequence
from errno import EPERM
from typing import NamedTuple

NR, ARCH, ARGUMENT_0 = 0, 4, 16
LOAD, RETURN, AND, GOTO = 0x20, 0x06, 0x54, 0x05
EQUAL, GREATER, AT_LEAST, ANY_BIT = 0x15, 0x25, 0x35, 0x45
KILL_PROCESS, TRACE, ERRNO, ALLOW = 0x80000000, 0x7FF00000, 0x00050000, 0x7FFF0000
TRAP = 0x00030000


class Instruction(NamedTuple):
    """One classic BPF instruction, and what it is for."""

    code: int
    when_true: int
    when_false: int
    operand: int
    why: str


def when(number: int, name: str, body: Sequence[Instruction]) -> Iterable[Instruction]:
    """Run `body`, which ends in returns, for this call only."""
    whole = [*body, Instruction(RETURN, 0, 0, ALLOW, f"this {name} is allowed")]
    yield Instruction(EQUAL, 0, len(whole), number, name)
    yield from whole


def refused(names: Iterable[str], numbers: dict[str, int], error: int) -> Iterable[Instruction]:
    """Answer each of these calls with `error`, or with success that does nothing where it is 0."""
    present = [name for name in names if name in numbers]
    for position, name in enumerate(present):
        distance = len(present) - position
        yield Instruction(EQUAL, distance, 0, numbers[name], name)
    yield Instruction(GOTO, 0, 0, 1, "none of them")
    yield Instruction(RETURN, 0, 0, ERRNO | error, "refused" if error else "done, says the answer")


def only(index: int, allowed: Sequence[int], error: int) -> list[Instruction]:
    """Refuse with `error` unless the low half of the argument is one of `allowed`."""
    tests = [
        Instruction(EQUAL, len(allowed) - position, 0, value, f"{value:#x} is allowed")
        for position, value in enumerate(allowed)
    ]
    return [argument(index), *tests, errno(error, "no other")]


def if_one_of(index: int, unwanted: Sequence[int], *, error: int = EPERM) -> list[Instruction]:
    """Answer with `error` if the low half of the argument is one of `unwanted`."""
    what = "refused" if error else "done"
    tests = [
        Instruction(EQUAL, len(unwanted) - 1 - position, 0, value, f"{value:#x} is {what}")
        for position, value in enumerate(unwanted[:-1])
    ]
    last = Instruction(EQUAL, 0, 1, unwanted[-1], f"{unwanted[-1]:#x} is {what}")
    return [argument(index), *tests, last, errno(error, what)]


def if_any_bit(index: int, bits: int, *, answer: int = ERRNO | EPERM) -> list[Instruction]:
    """Give `answer` if the argument has any of `bits`."""
    why = "the warden's alone" if answer == TRACE else "refused"
    return [
        argument(index),
        Instruction(ANY_BIT, 0, 1, bits, f"any of {bits:#x}"),
        Instruction(RETURN, 0, 0, answer, why),
    ]


def if_not_null(index: int) -> list[Instruction]:
    """Refuse a pointer of which either half is not zero."""
    return [
        argument(index),
        Instruction(EQUAL, 0, 2, 0, "the low half is zero"),
        Instruction(LOAD, 0, 0, ARGUMENT_0 + 8 * index + 4, f"argument {index}, high half"),
        Instruction(EQUAL, 1, 0, 0, "none is given"),
        errno(EPERM, "no address"),
    ]


def argument(index: int) -> Instruction:
    """Load the low half of an argument."""
    return Instruction(LOAD, 0, 0, ARGUMENT_0 + 8 * index, f"argument {index}, low half")


def errno(code: int, why: str) -> Instruction:
    """Answer with an error; 0 is a success that does nothing."""
    return Instruction(RETURN, 0, 0, ERRNO | code, why)
