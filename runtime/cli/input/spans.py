"""Spans of time as people write them: 30s, 15m, 2h, 1d."""

import re

from runtime.errors import Malformed

SPAN = re.compile(r"(\d{1,6})([smhd])")
MINUTES = {"s": 1 / 60, "m": 1, "h": 60, "d": 1440}


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
