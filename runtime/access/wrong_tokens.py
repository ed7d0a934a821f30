"""Counts wrong tokens, by address and in all: who shows too many is told to wait.

A right token is never slowed: who shares an address with a guesser (all of a host do, on
loopback) is not kept out by it. Guessing is hopeless; this keeps it from costing much.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

TIMES_ALL = 50
"""How many times as many wrong tokens there may be in all, as there may be from one address."""
WINDOW_S = 60.0
ADDRESSES_MOST = 1000


@dataclass(slots=True, kw_only=True)
class WrongTokens:
    """What was wrong in this window; `monotonic` is the clock."""

    monotonic: Callable[[], float]
    most_of_one: int = 20
    _began: float = 0.0
    _of: Counter[str] = field(default_factory=Counter[str])
    _untold: Counter[str] = field(default_factory=Counter[str])

    def count(self, address: str) -> int:
        """Count one more; return after how many seconds to try again, 0 for at once."""
        now = self.monotonic()
        if now - self._began >= WINDOW_S:
            self._began, self._of = now, Counter()
        key = self._key(address)
        self._of[key] += 1
        self._untold[key] += 1
        most = self.most_of_one
        if self._of[key] <= most and self._of.total() <= most * TIMES_ALL:
            return 0
        return max(1, round(WINDOW_S - (now - self._began)))

    def take(self) -> dict[str, int]:
        """Return how many there were since this was last asked, by address."""
        taken, self._untold = self._untold, Counter()
        return dict(taken)

    def _key(self, address: str) -> str:
        """Return `address`, or one name for all when there are too many to keep apart."""
        is_known = address in self._of or len(self._of) < ADDRESSES_MOST
        return address if is_known else "others"
