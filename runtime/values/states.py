"""The states of a job and the changes that are allowed between them. Pure."""

from collections.abc import Mapping
from enum import StrEnum

from runtime.faults.errors import StateConflict


class State(StrEnum):
    """Where a job stands. `waiting` means that a question to the caller is open."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Return whether the job has ended; only a retry leads out of a final state."""
        return self in FINAL


class Change(StrEnum):
    """What can happen to a job."""

    CLAIM = "claim"
    GIVE_BACK = "give-back"
    ASK = "ask"
    ANSWER = "answer"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    RETRY = "retry"


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

ALLOWED: Mapping[Change, Mapping[State, State]] = {
    Change.CLAIM: {State.QUEUED: State.RUNNING},
    Change.GIVE_BACK: {State.RUNNING: State.QUEUED},
    Change.ASK: {State.RUNNING: State.WAITING},
    Change.ANSWER: {State.WAITING: State.QUEUED},
    Change.SUCCEED: {State.RUNNING: State.SUCCEEDED},
    Change.FAIL: {State.RUNNING: State.FAILED, State.WAITING: State.FAILED},
    Change.CANCEL: {
        State.QUEUED: State.CANCELLED,
        State.RUNNING: State.CANCELLED,
        State.WAITING: State.CANCELLED,
    },
    Change.RETRY: dict.fromkeys(FINAL, State.QUEUED),
}

ENDINGS: Mapping[State, Change] = {
    State.SUCCEEDED: Change.SUCCEED,
    State.FAILED: Change.FAIL,
    State.CANCELLED: Change.CANCEL,
}


def is_allowed(state: State, *, change: Change) -> bool:
    """Return whether `change` can happen to a job in `state`."""
    return state in ALLOWED[change]


def after(state: State, *, change: Change) -> State:
    """Return the state that `change` leads to; raise StateConflict where it is not allowed."""
    if not is_allowed(state, change=change):
        sources = ", ".join(sorted(ALLOWED[change]))
        raise StateConflict(
            f"A job that is {state} does not allow {change}",
            where=f"job state {state}",
            mend=f"{change} is possible while the job is: {sources}",
        )
    return ALLOWED[change][state]
