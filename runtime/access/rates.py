"""How many requests each principal makes in a minute, and whether there was one too many."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from frozen.values import frozen

WINDOW_S = 60.0


@frozen
class Standing:
    """What a principal has left: `left` requests in `reset_s` seconds; of `most`."""

    most: int
    left: int
    reset_s: int

    @property
    def is_over(self) -> bool:
        """Return whether this request is one too many."""
        return self.left < 0

    def headers(self) -> dict[str, str]:
        """Return RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers)."""
        return {
            "RateLimit-Policy": f'"minute";q={self.most};w={round(WINDOW_S)}',
            "RateLimit": f'"minute";r={max(0, self.left)};t={self.reset_s}',
        }


@dataclass(slots=True, kw_only=True)
class Rates:
    """The requests of this minute, by principal; `monotonic` is the clock."""

    monotonic: Callable[[], float]
    most: int
    _began: float = 0.0
    _of: Counter[str] = field(default_factory=Counter[str])

    def count(self, principal: str, *, most: int | None = None) -> Standing:
        """Count one request more; `most` is how many this principal has, if not as all others."""
        most = self.most if most is None else most
        now = self.monotonic()
        if now - self._began >= WINDOW_S:
            self._began, self._of = now, Counter()
        self._of[principal] += 1
        reset_s = max(1, round(WINDOW_S - (now - self._began)))
        return Standing(most=most, left=most - self._of[principal], reset_s=reset_s)
