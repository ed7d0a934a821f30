"""How long a job that we failed waits before it is tried again."""

from datetime import timedelta

LONGEST_S = 30.0


def backoff(failures: int) -> timedelta:
    """Return the wait after so many failures of ours: 0.1 s, then 1.1, 3.1, … up to the longest.

    >>> backoff(1).total_seconds(), backoff(3).total_seconds(), backoff(50).total_seconds()
    (0.1, 3.1, 30.0)
    """
    if failures < 1:
        return timedelta(0)
    return timedelta(seconds=min(2.0 ** min(failures - 1, 10) - 0.9, LONGEST_S))
