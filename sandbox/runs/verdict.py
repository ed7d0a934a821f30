"""Why a run is over, before anybody has put it into words (outcomes.py)."""

from typing import Literal

from frozen.values import frozen
from sandbox.protocol import Done


@frozen
class Verdict:
    """Why the run is over. `limit` names what was crossed, with its value and the figure."""

    kind: Literal["done", "ended", "over-limit", "cancelled", "protocol"]
    done: Done | None = None
    limit: str = ""
    value: float = 0.0
    reached: float = 0.0
    what: str = ""


def over(limit: str, value: float, reached: float) -> Verdict:
    """Return the verdict on a run that crossed a limit."""
    return Verdict(kind="over-limit", limit=limit, value=value, reached=round(reached, 3))
