"""How long whoever found nothing to do leaves it before somebody looks again: longer each time."""

import time
from collections.abc import Callable

FIRST_S, MOST_S = 0.1, 2.0
REMEMBERED_S = 1.0


class Patience:
    """A wait that doubles until it is begun anew.

    >>> patience = Patience()
    >>> [patience.next_s() for _ in range(6)]
    [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    """

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def next_s(self) -> float:
        """Return the seconds to wait this time."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, MOST_S)
        return wait_s

    def reset(self) -> None:
        """Begin anew: there was something to do."""
        self._next_s = FIRST_S


class Unwanted:
    """Remembers for a second that what was handed on came by again: nobody had a use for it.

    >>> now = iter([0.0, 5.0, 5.5, 6.5])
    >>> unwanted = Unwanted(steady=lambda: next(now))
    >>> unwanted.is_so()
    False
    >>> unwanted.note()
    >>> unwanted.is_so(), unwanted.is_so()
    (True, False)
    """

    def __init__(self, *, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._until_s = float("-inf")

    def note(self) -> None:
        """Note that one came by."""
        self._until_s = self._steady() + REMEMBERED_S

    def is_so(self) -> bool:
        """Return whether one came by within the last second."""
        return self._steady() < self._until_s
