"""The time that the gate goes by: it never goes back while the gate is open.

A gate that was opened for 15 minutes is open for no longer than that, whoever sets the clock of the
machine back meanwhile. A clock that is set forward closes it early, which does no harm. What a
process saw of an opening goes with it: over a restart, the gate's own time counts alone.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from runtime.values.clock import Clock, utc_now
from runtime.values.records import Gate


class GateClock:
    """A clock that takes the later of two: the wall's, and when an opening was seen plus since.

    >>> wall, steady = [datetime(2026, 11, 29, 12)], [0.0]
    >>> clock = GateClock(clock=lambda: wall[0], steady=lambda: steady[0])
    >>> gate = Gate(is_open=True, until=datetime(2026, 11, 29, 12, 15), reason="", who="ana",
    ...             packages=(), changed_at=datetime(2026, 11, 29, 12))
    >>> clock.note(gate)
    >>> wall[0], steady[0] = datetime(2026, 11, 28, 12), 16 * 60.0
    >>> clock() > gate.until
    True
    """

    def __init__(
        self, *, clock: Clock = utc_now, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._steady = steady
        self._opening: tuple[datetime, datetime | None] | None = None
        self._seen_at: tuple[datetime, float] | None = None

    def __call__(self) -> datetime:
        """Return how late it is for the gate."""
        now = self._clock()
        if self._seen_at is None:
            return now
        at, at_s = self._seen_at
        return max(now, at + timedelta(seconds=self._steady() - at_s))

    def note(self, gate: Gate) -> None:
        """See how the gate stands; an opening that was seen before keeps its time."""
        opening = (gate.changed_at, gate.until) if gate.is_open else None
        if opening == self._opening:
            return
        self._opening = opening
        self._seen_at = (self._clock(), self._steady()) if opening else None
