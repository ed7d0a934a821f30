"""Which workers are alive, by how long ago *this process* saw their last sign of life.

A sign is a time that a worker writes down; all that counts here is that it has changed. How long
ago that was is told by a clock that nobody sets (CLOCK_MONOTONIC, clock_gettime(2)): when the wall
clock jumped by a day, every worker was lost at once, or a dead one alive until tomorrow.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import datetime

from frozen.values import frozen
from runtime.store import workers
from runtime.store.databases.store import Store


class SignsOfLife:
    """The signs that this process has seen. Whom it sees for the first time is alive for now.

    >>> signs = SignsOfLife(lost_after_s=30)
    >>> noon, later = datetime(2026, 11, 29, 12), datetime(2026, 11, 30, 12)
    >>> sorted(signs.alive({"a": noon, "b": noon}, now_s=0.0))
    ['a', 'b']
    >>> sorted(signs.alive({"a": later, "b": noon}, now_s=31.0))
    ['a']
    """

    def __init__(self, *, lost_after_s: float) -> None:
        self._lost_after_s = lost_after_s
        self._seen: dict[str, tuple[datetime, float]] = {}

    def alive(self, signs: Mapping[str, datetime], *, now_s: float) -> frozenset[str]:
        """Return those who are alive of all workers that there are; `now_s` is a steady time."""
        self._seen = {
            worker: self._last(worker, sign, now_s=now_s) for worker, sign in signs.items()
        }
        return frozenset(self._fresh(now_s=now_s))

    def _last(self, worker: str, sign: datetime, *, now_s: float) -> tuple[datetime, float]:
        before = self._seen.get(worker)
        return before if before and before[0] == sign else (sign, now_s)

    def _fresh(self, *, now_s: float) -> Iterable[str]:
        return (w for w, (_, at_s) in self._seen.items() if now_s - at_s < self._lost_after_s)


@frozen
class Living:
    """Tells which workers are alive, as far as the store and the signs that were seen tell."""

    store: Store
    signs: SignsOfLife
    steady: Callable[[], float] = field(default=time.monotonic)

    async def workers(self) -> frozenset[str]:
        """Return the ids of the workers that are alive now."""
        return self.seen(await self.store.read(workers.signs))

    def seen(self, signs: Mapping[str, datetime]) -> frozenset[str]:
        """Return the ids of the workers that are alive, by signs that were just read."""
        return self.signs.alive(signs, now_s=self.steady())
