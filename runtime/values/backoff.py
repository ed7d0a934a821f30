"""How long a job waits that failed, before it is tried again."""

from datetime import timedelta

LONGEST_S = 30.0
LONGEST_OF_ALL_S = 7 * 86_400.0


def backoff(failures: int, *, jitter: float = 0.0) -> timedelta:
    """Return the wait after so many failures of ours: 0.1 s, then 1.1, 3.1, … up to the longest.

    `jitter`, 0 to 1, makes it up to half as long again.

    >>> backoff(1).total_seconds(), backoff(3).total_seconds(), backoff(50).total_seconds()
    (0.1, 3.1, 30.0)
    """
    if failures < 1:
        return timedelta(0)
    wait_s = min(2.0 ** min(failures - 1, 10) - 0.9, LONGEST_S)
    return timedelta(seconds=wait_s * (1 + jitter / 2))


def doubled(first_s: float, *, times: int, jitter: float = 0.0) -> float:
    """Return `first_s` seconds doubled so many times, a week at most, before its jitter.

    >>> doubled(10, times=0), doubled(10, times=2), doubled(10, times=0, jitter=1.0)
    (10.0, 40.0, 15.0)
    """
    wait_s = min(first_s * 2.0 ** min(times, 40), LONGEST_OF_ALL_S)
    return wait_s * (1 + jitter / 2)


def jitter_of(token: str) -> float:
    """Return a number from 0 to 1 that nobody chose: the last digits of a fencing token.

    So that what failed together does not come back together, and a test knows the wait.

    >>> jitter_of("01a224f4-7775-7626-9db4-c17490400000"), jitter_of("no digits")
    (0.25, 0.0)
    """
    try:
        return int(token[-6:], 16) / 0x1000000
    except ValueError:
        return 0.0
