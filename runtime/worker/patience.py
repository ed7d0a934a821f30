"""How long whoever found nothing to do leaves it before somebody looks again: longer each time."""

FIRST_S, MOST_S = 0.1, 2.0


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
