"""The judge's side: waits for orders, forks for each, and lets nothing but a limit end it.

    order:  length, JSON {target, about, arguments, budget}; with it the pipe for the answer
    status: how the fork ended (wait4(2)), its CPU time in microseconds, its peak in KiB

The process that waits has imported our modules and reads nothing but our own orders. What was
uploaded is seen by forks alone, each of which judges once; the next one is made ahead.
"""

import ctypes
import errno
import gc
import importlib
import json
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from pydantic_core import to_json

from wheelhouse.judges.budget import MIB, Budget
from wheelhouse.judges.verdict import Heading, cannot_be_judged, too_costly
from wheelhouse.judges.wire import LENGTH, STATUS
from wheelhouse.problem import Problem, first_problems

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
CAPABILITY_VERSION_3 = 0x20080522
CAPABILITIES_OF_ROOT = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (capabilities(7)): an admin's file may be another's."""
NICE = 10
"""Whoever waits for an answer of the API goes first."""
OPEN_FILES = 64
FAULTS_OF_INPUT = frozenset(
    {
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
        *(errno.EINVAL, errno.EILSEQ, errno.EOVERFLOW, errno.ENOTEMPTY),
    }
)
"""What a file system says to a name or a size that an input chose; the rest is ours to mend."""

type Function = Callable[..., tuple[object, Iterable[Problem]]]


def serve(descriptor: int, first: str = "") -> None:
    """Judge whatever is ordered at the socket `descriptor`, until its other end is closed.

    `first` is the module that the first order will be for, if that is known.
    """
    door = socket.socket(fileno=descriptor)
    _be_alone()
    known = {first}
    _rehearse(first)
    ready = _Ready(door, module="")
    while (received := _receive(door)) is not None:
        order, answer = received
        module = _module_of(json.loads(order)["target"])
        if module not in known:
            known.add(module)
            _rehearse(module)
            ready.forget()
            ready = _Ready(door, module="")
        door.sendall(ready.judge(order, answer))
        ready = _Ready(door, module=module)
    ready.forget()


class _Ready:
    """A fork that waits for its one order, made ahead of it.

    It has judged something of ours: a fork copies each page that it touches first, which made
    500 faults and 5 ms of the judgement of a small bundle.
    """

    def __init__(self, door: socket.socket, *, module: str) -> None:
        self._inner, theirs = socket.socketpair()
        gc.freeze()
        self._pid = os.fork()
        if self._pid == 0:
            door.detach()
            self._inner.detach()
            os.closerange(3, theirs.fileno())
            os.closerange(theirs.fileno() + 1, OPEN_FILES)
            _judge_and_end(theirs, module)
        theirs.close()

    def judge(self, order: bytes, answer: int) -> bytes:
        """Hand the order over; return how the fork ended."""
        with suppress(BrokenPipeError):  # it was killed; its status says so
            socket.send_fds(self._inner, [LENGTH.pack(len(order))], [answer])
            self._inner.sendall(order)
        os.close(answer)
        self._inner.close()
        _, status, usage = os.wait4(self._pid, 0)
        cpu_us = int((usage.ru_utime + usage.ru_stime) * 1e6)
        return STATUS.pack(status, cpu_us, usage.ru_maxrss)

    def forget(self) -> None:
        """End the fork: there is no order for it."""
        self._inner.close()
        os.wait4(self._pid, 0)


def pronounce(
    function: Function, arguments: Mapping[str, Any], *, about: str, budget: Budget
) -> bytes:
    """Return the answer of `function`. The one place where what a judge raises is a refusal.

    A reader may raise whatever it likes at bytes that it was not written for: RecursionError,
    ValueError at 4,300 digits, UnicodeDecodeError, the errors of a library.
    """
    try:
        value, problems = function(**arguments)
        return _answer(Heading(problems=first_problems(problems)), value)
    except MemoryError:
        fault = too_costly(about, "memory", budget)
    except RecursionError:
        fault = too_costly(about, "depth", budget)
    except OSError as error:
        if error.errno == errno.EFBIG:
            fault = too_costly(about, "file", budget)
        elif error.errno not in FAULTS_OF_INPUT and error.errno is not None:
            return _answer(Heading(errno=error.errno, failure=str(error)))
        else:
            fault = cannot_be_judged(about, f"{type(error).__name__}: {error.strerror}")
    except Exception as error:
        fault = cannot_be_judged(about, f"{type(error).__name__}: {str(error)[:300]}")
    return _answer(Heading(problems=(fault,)))


def _answer(heading: Heading, value: object = None) -> bytes:
    return to_json(heading) + b"\n" + to_json(value)


def _judge_and_end(inner: socket.socket, module: str) -> None:
    """In a fork: wait for the order, judge, write the answer, and end without a word more."""
    code = 70
    try:
        _rehearse(module)
        received = _receive(inner)
        inner.close()
        if received is not None:
            _obey(json.loads(received[0]), received[1])
        code = 0
    finally:
        os._exit(code)


def _obey(order: dict[str, Any], answer: int) -> None:
    budget = Budget(**order["budget"])
    _limit(budget)
    module, _, name = order["target"].partition(":")
    function = getattr(importlib.import_module(module), name)
    said = pronounce(function, order["arguments"], about=order["about"], budget=budget)
    with os.fdopen(answer, "wb") as stream:
        stream.write(said)


def _module_of(target: str) -> str:
    return target.partition(":")[0]


def _rehearse(module: str) -> None:
    """Let a module judge what is ours, so that imports and compiled patterns are at hand."""
    if module:
        with suppress(Exception):  # who judges in earnest meets it again, and says so
            getattr(importlib.import_module(module), "rehearse", bool)()


def _be_alone() -> None:
    """Be unreadable to others of our user, gain nothing by exec, have no network, give way.

    An ordinary user has to make a user namespace for that; where hosts forbid it the network
    stays. Inside of it nobody needs to be mapped: files are opened by the kernel's own ids.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    is_root = os.geteuid() == 0
    with suppress(OSError):
        os.unshare(os.CLONE_NEWNET if is_root else os.CLONE_NEWUSER | os.CLONE_NEWNET)
    kept = CAPABILITIES_OF_ROOT if is_root else 0
    head, low = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (kept, kept, 0)
    libc.capset(head, (ctypes.c_uint32 * 6)(*low, 0, 0, 0))
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # the last: a change of capabilities sets it
    with suppress(OSError):
        os.nice(NICE)


def _limit(budget: Budget) -> None:
    """Set the limits of this fork; SIGALRM (not caught) ends it if whoever asked has died."""
    signal.alarm(int(budget.wall_s) + 5)
    size = budget.memory_mb * MIB
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (budget.cpu_s, budget.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (budget.file_mb * MIB, budget.file_mb * MIB))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _receive(door: socket.socket) -> tuple[bytes, int] | None:
    """Return the next order and the descriptor for its answer; None at the end."""
    head, descriptors, _, _ = socket.recv_fds(door, LENGTH.size, 1)
    if len(head) < LENGTH.size or not descriptors:
        return None
    left = LENGTH.unpack(head)[0]
    parts: list[bytes] = []
    while left and (part := door.recv(min(left, MIB))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts), descriptors[0]
