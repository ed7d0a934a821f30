"""Spans of time as people write them: 30s, 15m, 2h, 1d."""

import re

from runtime.faults.errors import Malformed

SPAN = re.compile(r"(\d{1,6})([smhd])")
MINUTES = {"s": 1 / 60, "m": 1, "h": 60, "d": 1440}


def seconds_of(span: str, *, option: str) -> int:
    """Return how many seconds `span` is; raise Malformed."""
    try:
        return round(60 * minutes_of(span))
    except Malformed as error:
        what = f"{span} is not a span of time"
        raise Malformed(what, where=option, mend="such as 30s, 15m, 2h, 1d") from error


def minutes_of(span: str) -> float:
    """Return how many minutes `span` is; raise Malformed.

    >>> minutes_of("2h")
    120
    """
    found = SPAN.fullmatch(span)
    if not found:
        raise Malformed(
            f"{span} is not a span of time", where="--for", mend="such as 30s, 15m, 2h, 1d"
        )
    return int(found[1]) * MINUTES[found[2]]
