"""Bulk operations: one act on every job that a filter means, a few at a time. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from frozen.values import frozen
from runtime.values.access import Sight
from runtime.values.job_filter import JobFilter
from runtime.values.states import FINAL, State
from wheelhouse.problem import Problem


class Act(StrEnum):
    """What is done to each job."""

    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"


class BulkState(StrEnum):
    """Where a bulk operation stands."""

    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"


POSSIBLE: Mapping[Act, frozenset[State]] = {
    Act.CANCEL: frozenset(State) - FINAL,
    Act.RETRY: FINAL,
    Act.DELETE: FINAL,
}
"""In which states each act is possible."""
MEANT = POSSIBLE | {Act.RETRY: frozenset({State.FAILED, State.CANCELLED})}
"""Which of them are meant where no state is named: nobody means to run a success again."""


@frozen
class BulkOperation:
    """One act on many jobs. `place` is the id after which it goes on, the newest job first.

    Jobs that came after it began are not among them: it begins at the newest id of that moment.
    `left_alone` were meant, and could not be acted on when their turn came.
    """

    id: str
    act: Act
    wanted: JobFilter
    who: str
    reason: str
    sight: Sight
    matched: int
    at: datetime
    place: str
    state: BulkState = BulkState.RUNNING
    done: int = 0
    left_alone: int = 0
    waits_for: str = ""
    finished_at: datetime | None = None


@frozen
class Turn:
    """What one turn came to; `place` is None where nothing is left to look at."""

    done: int
    left_alone: int
    place: str | None
    waits_for: str = ""


def states_of(act: Act, wanted: JobFilter) -> frozenset[State]:
    """Return the states of the jobs that are meant; none where the filter names another one.

    >>> sorted(states_of(Act.RETRY, JobFilter())), states_of(Act.CANCEL, JobFilter(state=State.FAILED))
    (['cancelled', 'failed'], frozenset())
    """  # noqa: E501
    if wanted.state is None:
        return MEANT[act]
    return POSSIBLE[act] & {wanted.state}


def after_turn(operation: BulkOperation, turn: Turn, *, at: datetime) -> BulkOperation:
    """Return how an operation stands after a turn. One that was stopped meanwhile stays so."""
    is_over = turn.place is None
    is_done = is_over and operation.state is BulkState.RUNNING
    return replace(
        operation,
        done=operation.done + turn.done,
        left_alone=operation.left_alone + turn.left_alone,
        place=turn.place or operation.place,
        waits_for=turn.waits_for,
        state=BulkState.DONE if is_done else operation.state,
        finished_at=at if is_done else operation.finished_at,
    )


def stopped(operation: BulkOperation, *, at: datetime) -> BulkOperation:
    """Return the operation as it stands when somebody stops it; one that has ended stays so."""
    if operation.state is not BulkState.RUNNING:
        return operation
    return replace(operation, state=BulkState.STOPPED, finished_at=at, waits_for="")


def judge(
    act: Act,
    wanted: JobFilter,
    *,
    reason: str,
    matched: int,
    count: int | None,
    is_everything: bool,
) -> tuple[Problem, ...]:
    """Return why an operation should not begin: it may mean more, or fewer, than who asks thinks.

    `count` is how many jobs who asks thinks it is; `is_everything` says that all are meant.
    """
    return tuple(
        _faults(
            act, wanted, reason=reason, matched=matched, count=count, is_everything=is_everything
        )
    )


def _faults(
    act: Act,
    wanted: JobFilter,
    *,
    reason: str,
    matched: int,
    count: int | None,
    is_everything: bool,
) -> Iterator[Problem]:
    if not reason.strip():
        what, mend = "no reason is given", "say why: it is written into the audit log"
        yield Problem(code="no-reason", what=what, where="reason", mend=mend)
    if not states_of(act, wanted):
        what = f"no job that is {wanted.state} can be the subject of {act}"
        mend = f"{act} is possible in: {', '.join(sorted(POSSIBLE[act]))}"
        yield Problem(code="no-such-state", what=what, where="wanted/state", mend=mend)
    if count is not None and count != matched:
        what = f"{matched} jobs are meant, and not {count}"
        mend = "look at them with `fumehood job list`, and give the count that you mean"
        yield Problem(code="other-count", what=what, where="count", mend=mend)
    if wanted.is_empty and count is None and not is_everything:
        what = f"the filter is empty: all {matched} jobs are meant"
        mend = f'give a condition, or say so: "count": {matched} or "is_everything": true (--yes)'
        yield Problem(code="everything", what=what, where="wanted", mend=mend)
