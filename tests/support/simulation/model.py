"""The state machine as a pure model: what the functions of the store do, without a database.

What is decided (places, turns, choices, waits, allowed changes) is decided by the same pure functions
of `runtime.values` as in the store; what is written here once more is how rows and counters change.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from support.simulation.seen import (
    DRAINED,
    FULL,
    KEY,
    MOST_ATTEMPTS,
    QUEUE_LIMIT,
    REFUSED,
    SUPERSEDED,
    AtAttempt,
    AttemptSeen,
    Held,
    JobSeen,
    Seen,
    Wish,
)

from runtime.values.backoff import backoff, jitter_of
from runtime.values.retries import RetryPolicy, again_at
from runtime.values.states import ALLOWED, ENDINGS, FINAL, Change, State
from runtime.values.when.line import (
    KEY as HELD_BY_KEY,
)
from runtime.values.when.line import (
    NOT_DUE,
    Ability,
    Joining,
    Standing,
    Waiting,
    choose,
    place_of,
    turn_when_due,
    turn_when_held,
)

ANY = Ability(platform="")
ANSWERED_WITHIN = timedelta(seconds=60)
FIRST_BACKOFF_S = 1.0


@dataclass(slots=True)
class _Attempt:
    number: int
    state: State = State.QUEUED
    token: str | None = None
    started_at: datetime | None = None
    error: str = ""
    is_ours: bool = False


@dataclass(slots=True)
class _Job:
    id: str
    key: str | None
    retry: RetryPolicy | None
    queued_at: datetime
    due_at: datetime
    expires_at: datetime | None
    state: State = State.QUEUED
    attempts: list[_Attempt] = field(default_factory=lambda: [_Attempt(1)])
    token: str | None = None
    worker: str | None = None
    is_asked_to_stop: bool = False
    turn: int = 0
    claimed_turn: int = 0
    held_by: str | None = None
    counted_from: int = 1
    told_attempt: int = 0
    messages: int = 0
    is_dead: bool = False
    ends: list[int] = field(default_factory=list[int])
    asked: tuple[int, datetime] | None = None
    """In which attempt its question was asked, and until when it is open; None when answered."""

    @property
    def last(self) -> _Attempt:
        return self.attempts[-1]

    @property
    def is_in_line(self) -> bool:
        return self.state is State.QUEUED and self.turn < NOT_DUE


class Model:
    """The state machine, in dictionaries."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}
        self._counted = dict.fromkeys((*FINAL, State.QUEUED), 0)

    # What clients ask for.

    def submit(self, job: str, wish: Wish, *, at: datetime) -> str:
        """Accept a job; the same one again is the same one."""
        if job in self._jobs:
            return job
        if self._counted[State.QUEUED] >= QUEUE_LIMIT:
            return FULL
        self._counted[State.QUEUED] += 1
        one = _Job(
            id=job,
            key=KEY if wish.has_key else None,
            retry=RetryPolicy(attempts=1 + wish.retries, backoff_s=FIRST_BACKOFF_S)
            if wish.retries
            else None,
            queued_at=at,
            due_at=at + timedelta(seconds=wish.after_s),
            expires_at=at + timedelta(seconds=wish.expires_s) if wish.expires_s else None,
        )
        self._join(one, due_at=one.due_at, at=at)
        self._jobs[job] = one
        return job

    def cancel(self, job: str, *, at: datetime) -> str:
        """Cancel what waits, ask what runs to stop."""
        one = self._jobs[job]
        if one.state is State.CANCELLED:
            return one.state
        if one.state is State.RUNNING:
            one.is_asked_to_stop = True
            return one.state
        if one.state not in ALLOWED[Change.CANCEL]:
            return REFUSED
        one.is_asked_to_stop = True
        self._end_waiting(one, error="", at=at)
        return one.state

    def retry(self, job: str, *, at: datetime) -> str:
        """Queue a job anew that has ended."""
        one = self._jobs[job]
        if one.state not in FINAL:
            return REFUSED
        if self._counted[State.QUEUED] >= QUEUE_LIMIT:
            return FULL
        self._counted[one.state] -= 1
        self._counted[State.QUEUED] += 1
        one.is_dead = False
        one.counted_from = len(one.attempts) + 1
        one.expires_at = None
        self._queue_again(one, due_at=at, at=at)
        return one.state

    def answer(self, job: str, *, at: datetime) -> str:
        """Answer what a job asks."""
        one = self._jobs[job]
        if one.state is not State.WAITING or one.asked is None:
            return REFUSED
        one.asked = None
        self._counted[State.QUEUED] += 1
        one.counted_from = len(one.attempts) + 1
        self._queue_again(one, due_at=at, at=at)
        return one.state

    # What workers do.

    def claim(self, worker: str, token: str, *, at: datetime) -> str:
        """Take the job whose turn it is; empty for none."""
        self._wake(at)
        looked_at = 0
        while waiting := self._line()[looked_at:]:
            choice = choose(map(self._waiting, waiting), ability=ANY, at=at)
            for job, by in choice.held:
                self._hold(self._jobs[job], by=by, at=at)
            for job in choice.expired:
                self._end_waiting(self._jobs[job], error="expired", at=at)
            if choice.chosen:
                self._take(self._jobs[choice.chosen.id], worker=worker, token=token, at=at)
                return choice.chosen.id
            looked_at += len(waiting) - len(choice.held) - len(choice.expired)
        return ""

    def _take(self, one: _Job, *, worker: str, token: str, at: datetime) -> None:
        one.state, one.token, one.worker = State.RUNNING, token, worker
        one.claimed_turn = one.turn
        self._counted[State.QUEUED] -= 1
        last = one.last
        last.state, last.token, last.started_at = State.RUNNING, token, at

    def write(self, held: Held, *, at: datetime) -> bool:
        """Write an event, if the attempt is the current one."""
        return self._is_held(held)

    def finish(self, held: Held, state: State, *, at: datetime) -> str:
        """End the attempt, for good or until its package is tried again."""
        if not self._is_held(held):
            return SUPERSEDED
        one = self._jobs[held[0]]
        error = "package-raised" if state is State.FAILED else ""
        due_at = self._again_at(one, state=state, error=error, token=held[1], at=at)
        if due_at is None:
            self._end(one, state=state, error=error, is_ours=False, at=at)
            return state
        one.last.state, one.last.error = state, error
        self._counted[State.QUEUED] += 1
        self._queue_again(one, due_at=due_at, at=at)
        return one.state

    def _again_at(
        self, one: _Job, *, state: State, error: str, token: str, at: datetime
    ) -> datetime | None:
        if one.retry is None or one.is_asked_to_stop or state is not State.FAILED:
            return None
        failed = [
            a
            for a in one.attempts
            if a.error and not a.is_ours and a.number >= one.counted_from and a is not one.last
        ]
        return again_at(
            one.retry,
            code=error,
            what=error,
            failures=1 + len(failed),
            ended_at=at,
            jitter=jitter_of(token),
        )

    def ask(self, held: Held, *, at: datetime) -> str:
        """End the attempt with a question."""
        if not self._is_held(held):
            return SUPERSEDED
        one = self._jobs[held[0]]
        if self._stops(one, at=at):
            return one.state
        one.asked = (one.last.number, at + ANSWERED_WITHIN)
        one.state = one.last.state = State.WAITING
        one.token = None
        self._left_slot(one, at=at)
        return one.state

    def give_back(self, held: Held, code: str, *, at: datetime) -> str:
        """End an attempt that we failed."""
        if not self._is_held(held):
            return SUPERSEDED
        one = self._jobs[held[0]]
        counted = sum(
            a.is_ours and a.error != DRAINED and a.number >= one.counted_from for a in one.attempts
        ) + (code != DRAINED)
        if self._stops(one, at=at):
            return one.state
        if code != DRAINED and counted >= MOST_ATTEMPTS:
            one.is_dead = True
            self._end(one, state=State.FAILED, error="given-up", is_ours=True, at=at)
        else:
            one.last.state, one.last.error, one.last.is_ours = State.FAILED, code, True
            self._counted[State.QUEUED] += 1
            wait = timedelta(0) if code == DRAINED else backoff(counted, jitter=jitter_of(held[1]))
            self._queue_again(one, due_at=at + wait, at=at)
        return one.state

    def unclaim(self, held: Held, *, at: datetime) -> str:
        """Let a job wait again that was claimed and never begun."""
        if not self._is_held(held):
            return SUPERSEDED
        one = self._jobs[held[0]]
        if self._stops(one, at=at):
            return one.state
        self._counted[State.QUEUED] += 1
        one.state, one.token, one.worker = State.QUEUED, None, None
        last = one.last
        last.state, last.token, last.started_at = State.QUEUED, None, None
        return one.state

    def _stops(self, one: _Job, *, at: datetime) -> bool:
        """Cancel what runs and is asked to stop; return whether it was."""
        if one.is_asked_to_stop:
            self._end(one, state=State.CANCELLED, error="", is_ours=False, at=at)
        return one.is_asked_to_stop

    def _is_held(self, held: Held) -> bool:
        one = self._jobs[held[0]]
        return one.state is State.RUNNING and one.token == held[1]

    # What the reconciler, the timekeeper and the teller look for, and do.

    def running_elsewhere(self, *, alive: tuple[str, ...]) -> tuple[Held, ...]:
        """Return what runs on workers that are not alive."""
        return tuple(
            (one.id, one.token or "") for one in self._running() if one.worker not in alive
        )

    def running_on(self, worker: str) -> tuple[Held, ...]:
        """Return what is recorded as running on a worker."""
        return tuple((one.id, one.token or "") for one in self._running() if one.worker == worker)

    def are_due(self, *, before: datetime) -> bool:
        """Return whether a job waits that was due before then."""
        most = turn_when_due(before)
        return any(one.turn <= most and one.due_at <= before for one in self._queued())

    def late(self, *, at: datetime) -> tuple[str, ...]:
        """Return what waited until it was too late."""
        return tuple(one.id for one in self._queued() if one.expires_at and one.expires_at <= at)

    def is_due(self, *, at: datetime) -> bool:
        """Return whether something has become due."""
        return any(NOT_DUE <= one.turn <= turn_when_due(at) for one in self._queued())

    def expire(self, job: str, *, at: datetime) -> None:
        """End a job that waited until it was too late, unless it is taken by now."""
        if (one := self._jobs[job]).state is State.QUEUED:
            self._end_waiting(one, error="expired", at=at)

    def overdue(self, *, at: datetime) -> tuple[AtAttempt, ...]:
        """Return the questions whose time is over."""
        asked = [one for one in self._jobs.values() if one.asked and one.asked[1] <= at]
        return tuple((one.id, one.asked[0]) for one in asked if one.asked)

    def expire_question(self, asked: AtAttempt, *, at: datetime) -> None:
        """Fail a job whose question nobody answered; else only forget the question."""
        one = self._jobs[asked[0]]
        is_open = one.state is State.WAITING and len(one.attempts) == asked[1]
        if one.asked and one.asked[0] == asked[1]:
            one.asked = None
        if is_open:
            self._finished(one, state=State.FAILED, error="question-expired", is_ours=False)

    def untold(self) -> tuple[AtAttempt, ...]:
        """Return the ends that nobody was told of."""
        return tuple(
            (one.id, len(one.attempts))
            for one in self._jobs.values()
            if one.state in FINAL and one.told_attempt < len(one.attempts)
        )

    def tell(self, ended: AtAttempt, *, at: datetime) -> None:
        """Write down the message of an end, once."""
        one = self._jobs[ended[0]]
        if one.state in FINAL and len(one.attempts) == ended[1]:
            one.messages += one.told_attempt < ended[1]
            one.told_attempt = ended[1]

    def look(self) -> Seen:
        """Return all there is to see."""
        return Seen({job: _seen(one) for job, one in self._jobs.items()}, dict(self._counted))

    # How it is done.

    def _queued(self) -> Iterable[_Job]:
        return (one for one in self._jobs.values() if one.state is State.QUEUED)

    def _running(self) -> Iterable[_Job]:
        return (one for one in self._jobs.values() if one.state is State.RUNNING)

    def _line(self) -> list[_Job]:
        return sorted(
            (one for one in self._jobs.values() if one.is_in_line), key=lambda j: (j.turn, j.id)
        )

    def _waiting(self, one: _Job) -> Waiting:
        running = sum(other.key == one.key for other in self._running()) if one.key else 0
        return Waiting(
            id=one.id,
            package="hello",
            platform="",
            slot_key=one.key,
            slot_most=1 if one.key else None,
            running=running,
            expires_at=one.expires_at,
        )

    def _wake(self, at: datetime) -> None:
        due = [one for one in self._queued() if NOT_DUE <= one.turn <= turn_when_due(at)]
        for one in sorted(due, key=lambda j: (j.turn, j.id)):
            self._put(one, at=at)

    def _put(self, one: _Job, *, at: datetime) -> None:
        before = one.due_at
        self._join(one, due_at=min(before, at), at=at)
        one.due_at = max(one.due_at, before)

    def _join(self, one: _Job, *, due_at: datetime, at: datetime) -> None:
        joining = _joining(one, due_at=due_at)
        standing = Standing() if due_at > at else self._standing(one)
        place = place_of(joining, standing=standing, at=at)
        one.turn, one.due_at, one.held_by = place.turn, place.due_at, place.held_by

    def _standing(self, one: _Job) -> Standing:
        others = [other for other in self._jobs.values() if other is not one]
        started = [
            (attempt.started_at, job.claimed_turn)
            for job in self._jobs.values()
            for attempt in job.attempts
            if attempt.started_at
        ]
        turns = [job.turn for job in self._jobs.values() if job.is_in_line]
        with_key = [
            other
            for other in others
            if other.key
            and (other.state is State.RUNNING or (other.is_in_line and other.held_by is None))
        ]
        return Standing(
            now=max(started)[1] if started else None,
            last_of_line=max(turns) if turns else None,
            with_key=len(with_key) if one.key else 0,
        )

    def _hold(self, one: _Job, *, by: str, at: datetime) -> None:
        one.turn, one.held_by = turn_when_held(_joining(one, due_at=one.due_at)), by

    def _left_slot(self, one: _Job, *, at: datetime) -> None:
        if one.key:
            self._release(at=at)

    def _release(self, *, at: datetime) -> None:
        held = [one for one in self._queued() if one.held_by == HELD_BY_KEY + KEY]
        if held:
            self._put(min(held, key=lambda j: (j.turn, j.id)), at=at)

    def _queue_again(self, one: _Job, *, due_at: datetime, at: datetime) -> None:
        was_running = one.state is State.RUNNING
        one.queued_at = at
        self._join(one, due_at=due_at, at=at)
        one.state, one.token, one.worker, one.is_asked_to_stop = State.QUEUED, None, None, False
        one.attempts.append(_Attempt(len(one.attempts) + 1))
        if was_running:
            self._left_slot(one, at=at)

    def _end(self, one: _Job, *, state: State, error: str, is_ours: bool, at: datetime) -> None:
        if one.state not in ALLOWED[ENDINGS[state]]:
            raise AssertionError((one.state, state))
        self._finished(one, state=state, error=error, is_ours=is_ours)
        self._left_slot(one, at=at)

    def _end_waiting(self, one: _Job, *, error: str, at: datetime) -> None:
        was_queued, was_held = one.state is State.QUEUED, one.held_by is not None
        if was_queued:
            self._counted[State.QUEUED] -= 1
        self._finished(one, state=State.CANCELLED, error=error, is_ours=bool(error))
        one.held_by = None
        if not was_held and one.key:
            self._release(at=at)

    def _finished(self, one: _Job, *, state: State, error: str, is_ours: bool) -> None:
        self._counted[state] += 1
        one.state = one.last.state = state
        one.last.error, one.last.is_ours = error, is_ours
        one.ends.append(one.last.number)


def _joining(one: _Job, *, due_at: datetime) -> Joining:
    return Joining(
        package="hello",
        priority=0,
        due_at=due_at,
        queued_at=one.queued_at,
        slot_key=one.key,
        slot_most=1 if one.key else None,
    )


def _seen(one: _Job) -> JobSeen:
    return JobSeen(
        state=one.state,
        attempt=len(one.attempts),
        token=one.token,
        worker=one.worker,
        is_asked_to_stop=one.is_asked_to_stop,
        has_key=one.key is not None,
        turn=one.turn,
        held_by=one.held_by,
        attempts=tuple(AttemptSeen(a.number, a.state, a.token, _fault(a)) for a in one.attempts),
        ends=tuple(one.ends),
        messages=one.messages,
        is_dead=one.is_dead,
    )


def _fault(attempt: _Attempt) -> str:
    if not attempt.error:
        return ""
    return "appliance" if attempt.is_ours else "package"
