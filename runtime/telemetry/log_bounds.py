"""How often one cause may be heard in a log: a pure decision, and the causes that were heard last.

A cause is the line of code that speaks, with the kind of exception: there are as many as there are
such lines, whatever a stranger sends. A database that is away fails every statement for the same
cause, and wrote 239 kB a minute about it.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace

from frozen.values import frozen

WINDOW_S = 60.0
MOST_CAUSES = 1000


@frozen
class Heard:
    """How often a cause was heard in the window that began at `since`, and how often not."""

    since: float
    told: int = 0
    left_out: int = 0


def listen(heard: Heard | None, *, at: float, most: int) -> tuple[Heard, int | None]:
    """Return what is known of a cause after one more line, and how many were left out before it.

    None: this one is left out too.

    >>> once, left_out = listen(None, at=0.0, most=1)
    >>> twice, left_out = listen(once, at=1.0, most=1)
    >>> twice.left_out, left_out, listen(twice, at=60.0, most=1)[1]
    (1, None, 1)
    """
    if heard is None or at - heard.since >= WINDOW_S:
        return Heard(since=at, told=1), heard.left_out if heard else 0
    if heard.told < most:
        return replace(heard, told=heard.told + 1), 0
    return replace(heard, left_out=heard.left_out + 1), None


@dataclass(slots=True, kw_only=True)
class Causes:
    """The causes that were heard last, in the order in which their windows began."""

    most: int
    heard: OrderedDict[Hashable, Heard] = field(default_factory=OrderedDict[Hashable, Heard])

    def listen(self, cause: Hashable, *, at: float) -> int | None:
        """Return how many lines were left out before this one; None if this one is, too."""
        before = self.heard.get(cause)
        now, left_out = listen(before, at=at, most=self.most)
        self.heard[cause] = now
        if before is None or now.since != before.since:
            self.heard.move_to_end(cause)
        return left_out

    def over(self, *, at: float) -> Iterator[tuple[Hashable, int]]:
        """Yield causes of which lines were left out, and whose window is over; forget them."""
        while self.heard:
            cause, heard = next(iter(self.heard.items()))
            if at - heard.since < WINDOW_S and len(self.heard) <= MOST_CAUSES:
                return
            del self.heard[cause]
            if heard.left_out:
                yield cause, heard.left_out
