"""Landlock: which paths a cell may read and write, as the kernel's own structures.

The rules are decided here; the system calls are made inside (`inside/kernel/syscalls.py`), by the
process that they confine. Rights and ABI history: landlock(7),
https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable

from frozen.values import frozen
from sandbox.protocol import Inward

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NET_TCP = 0b11
_SCOPE_ABSTRACT_UNIX, _SCOPE_SIGNAL = 1, 2
_SYS_CREATE_RULESET = 444
_CREATE_RULESET_VERSION = 1


@frozen
class Confinement:
    """What Landlock lets a cell touch: paths to read, to run from, to write (not run) below.

    The run's own are apart: a warm cell cannot open them before its fork has mounted them.
    """

    readable: tuple[str, ...]
    executable: tuple[str, ...]
    writable: tuple[str, ...]
    run_readable: tuple[str, ...] = ()
    writable_files: tuple[str, ...] = ("/dev/null", "/dev/zero", "/dev/full")
    network: bool = False


def kernel_abi() -> int:
    """Return the Landlock ABI of this kernel, 0 where there is none."""
    if platform.machine() not in {"x86_64", "aarch64"}:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_SYS_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)
    if version < 0 and ctypes.get_errno() in {errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}:
        return 0
    return max(version, 0)


def ruleset(confinement: Confinement, *, abi: int) -> dict[str, Inward]:
    """Return ruleset and rules for `abi` in the form that the runner installs."""
    handled = _FS_BY_ABI[max(known for known in _FS_BY_ABI if known <= abi)]
    net = 0 if confinement.network or abi < 4 else _NET_TCP
    scoped = _SCOPE_ABSTRACT_UNIX | _SCOPE_SIGNAL if abi >= 6 else 0
    words = [handled] + ([net] if abi >= 4 else []) + ([scoped] if abi >= 6 else [])
    rules = [
        *_beneath(confinement.readable, _READ_FILE | _READ_DIR),
        *_beneath(confinement.executable, _EXECUTE | _READ_FILE | _READ_DIR),
        *_beneath(confinement.writable_files, (_WRITE_FILE | _READ_FILE) & handled),
    ]
    run_rules = [
        *_beneath(confinement.run_readable, _READ_FILE | _READ_DIR),
        *_beneath(confinement.writable, handled & ~_EXECUTE),
    ]
    packed = struct.pack(f"={len(words)}Q", *words)
    return {"ruleset": packed, "rules": rules, "run_rules": run_rules}


def describe(abi: int, *, confines_tcp: bool) -> str:
    """Return what a ruleset of this ABI confines, for people."""
    parts = ["files"]
    if abi >= 4 and confines_tcp:
        parts.append("TCP")
    if abi >= 6:
        parts.append("signals, abstract sockets")
    return f"ABI {abi}: {', '.join(parts)}"


def _beneath(paths: Iterable[str], rights: int) -> list[Inward]:
    return [[path, rights] for path in paths]
