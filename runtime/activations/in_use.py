"""Which versions this process uses: those that run, and those that may be kept warm."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from runtime.values.records import Activation
from sandbox.cells.pool import PoolBounds

MOST_WARM = PoolBounds().cells
"""A sandbox keeps so many warm cells, of the versions that ran last. A cell
has the folders of its version in sight, and would go on with what is left of them."""
MOST = 1024


class InUse:
    """The activations that this process used, the last one last, and how often each runs now."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._used: OrderedDict[str, tuple[Activation, float]] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._environments: dict[str, str] = {}

    def runs_in(self, activation: Activation, *, environment: str) -> None:
        """Note the key of the environment that a version has on this host."""
        self._environments[activation.id] = environment

    @contextmanager
    def running(self, activation: Activation) -> Generator[None]:
        """Count a run of a version meanwhile."""
        self._used[activation.id] = activation, self._clock()
        self._used.move_to_end(activation.id)
        while len(self._used) > MOST:
            gone, _ = self._used.popitem(last=False)
            self._environments.pop(gone, None)
        self._running[activation.id] += 1
        try:
            yield
        finally:
            self._used[activation.id] = activation, self._clock()
            self._running[activation.id] -= 1
            if not self._running[activation.id]:
                del self._running[activation.id]

    def held(self) -> Iterator[Activation]:
        """Yield the activations of which nothing may go."""
        warm = set(list(self._used)[-MOST_WARM:])
        for key, (activation, _) in tuple(self._used.items()):
            if key in warm or key in self._running:
                yield activation

    def environments(self) -> set[str]:
        """Return the keys of the environments that must not go."""
        return {self._environments.get(one.id, "") for one in self.held()}

    def used_at(self) -> Iterator[tuple[Activation, float]]:
        """Yield each activation with when it was used last, in seconds since the epoch."""
        yield from tuple(self._used.values())
