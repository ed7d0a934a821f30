"""Batches: a named group of jobs, and what its counts come to. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from frozen.values import frozen
from runtime.values.states import FINAL, State

type Counted = Mapping[State, int]


@frozen
class Batch:
    """Jobs of one owner under one name. `webhook` is told once, when all of them have ended."""

    id: str
    owner: str
    name: str
    at: datetime
    note: str = ""
    webhook: str | None = None
    sealed_at: datetime | None = None
    ended_at: datetime | None = None


class Standing(StrEnum):
    """Where a batch stands: it takes jobs, it has taken all of them, or all of them have ended."""

    OPEN = "open"
    SEALED = "sealed"
    ENDED = "ended"


def standing(batch: Batch, *, counted: Counted) -> Standing:
    """Return where a batch stands; one that is open never ends, since more may come."""
    if batch.sealed_at is None:
        return Standing.OPEN
    return Standing.ENDED if progress(counted)[0] == sum(counted.values()) else Standing.SEALED


def progress(counted: Counted) -> tuple[int, int]:
    """Return how many jobs have ended, of how many.

    >>> progress({State.SUCCEEDED: 3, State.RUNNING: 1})
    (3, 4)
    """
    return sum(counted.get(state, 0) for state in FINAL), sum(counted.values())
