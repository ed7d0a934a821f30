"""Shares the processors out, so that a run is told of as many as it may use.

Programs size themselves by what they see (sched_getaffinity(2), of which sysconf(3) makes
`os.cpu_count()` where there is no /sys): a run that may use one of two processors, and starts two
threads for it, is slower than with one. The quota of its cgroup is the wall; this tells of it.
"""

import contextlib
import math
import os
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Processors:
    """Those that this worker may use, and how many runs each has."""

    ours: frozenset[int] = field(default_factory=lambda: frozenset(os.sched_getaffinity(0)))
    _runs: Counter[int] = field(default_factory=Counter[int])

    @contextlib.contextmanager
    def shared(self, pid: int, cpus: float) -> Generator[None]:
        """Bind a process to as many as `cpus` asks for, the least used ones, for a while."""
        wanted = math.ceil(cpus)
        if wanted >= len(self.ours):
            yield
            return
        chosen = sorted(self.ours, key=lambda number: self._runs[number])[:wanted]
        self._runs.update(chosen)
        try:
            with contextlib.suppress(OSError):  # it has ended; or may not be bound, and is not
                os.sched_setaffinity(pid, chosen)
            yield
        finally:
            self._runs.subtract(chosen)
