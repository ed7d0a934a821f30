"""Tools that we start: how much memory, time and files each may take, whatever it is fed."""

import ctypes
import resource
import signal
from collections.abc import Callable

from frozen.values import frozen
from sandbox.limits import MIB

PR_SET_PDEATHSIG = 1


@frozen
class Share:
    """What a tool may take at most: address space, seconds of CPU, bytes of any file it writes."""

    memory_mb: int
    cpu_s: int
    file_mb: int = 1024
    open_files: int = 1024


UV = Share(memory_mb=4096, cpu_s=600)
"""With a page of 64 MB, the longest by default, uv is ended at 1 GiB and comes to its end at 2."""
DOORWAY = Share(memory_mb=2048, cpu_s=600, file_mb=0)
INTERPRETER = Share(memory_mb=1024, cpu_s=30, file_mb=0)


def bounded(share: Share) -> Callable[[], None]:
    """Return what a child does before it becomes the tool: it dies with us, within its bounds."""
    libc = ctypes.CDLL(None)
    bounds = {
        resource.RLIMIT_AS: share.memory_mb * MIB,
        resource.RLIMIT_CPU: share.cpu_s,
        resource.RLIMIT_FSIZE: share.file_mb * MIB,
        resource.RLIMIT_NOFILE: share.open_files,
        resource.RLIMIT_CORE: 1,  # 0 would give a piped core_pattern its memory (core(5))
    }

    def bind() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for kind, most in bounds.items():
            hard = resource.getrlimit(kind)[1]
            lowest = most if hard < 0 else min(most, hard)
            resource.setrlimit(kind, (lowest, lowest))

    return bind
