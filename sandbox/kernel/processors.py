"""Shares the processors out, so that a run is told of as many as it may use.

Programs size themselves by what they see (sched_getaffinity(2), of which sysconf(3) makes
`os.cpu_count()` where there is no /sys): a run that may use one of two processors, and starts two
threads for it, is slower than with one. The quota of its cgroup is the wall; this tells of it.
"""

import contextlib
import math
import os
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Processors:
    """Those that this worker may use, and how many runs each has."""

    ours: frozenset[int] = field(default_factory=lambda: frozenset(os.sched_getaffinity(0)))
    _runs: Counter[int] = field(default_factory=Counter[int])

    @contextlib.contextmanager
    def shared(self, pid: int, cpus: float) -> Generator[Sequence[int]]:
        """Bind a process to as many as `cpus` asks for, the least used ones, for a while.

        Gives those that it has to bind itself to, where we may not (CAP_SYS_NICE, which a container
        often lacks, for a process of another user).
        """
        wanted = math.ceil(cpus)
        if wanted >= len(self.ours):
            yield ()
            return
        chosen = sorted(self.ours, key=lambda number: self._runs[number])[:wanted]
        self._runs.update(chosen)
        try:
            yield chosen if _may_not_bind(pid, chosen) else ()
        finally:
            self._runs.subtract(chosen)


def _may_not_bind(pid: int, chosen: Sequence[int]) -> bool:
    try:
        os.sched_setaffinity(pid, chosen)
    except PermissionError:
        return True
    except OSError:  # it has ended, which its supervision sees
        return False
    return False
