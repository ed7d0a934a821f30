"""One schedule: actors that take steps in an order which a number chooses.

Clients submit, send again, cancel, retry, answer and read; workers claim, show signs of life, write,
finish, ask, give back, die, lose what they hold, and wake after others took their work; the
reconciler, the timekeeper and the teller look, and act on what they saw a while ago; the queue loses
tickets and delivers some twice; time passes. After the last step everything that was lost is made up
for, and each job that was accepted has to come to its end.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from support.simulation.invariants import Broken, Step, check
from support.simulation.seen import (
    DRAINED,
    FULL,
    LOST,
    NOON,
    OURS,
    REFUSED,
    SUPERSEDED,
    AtAttempt,
    Held,
    Machine,
    Seen,
    Wish,
)

from runtime.values.states import FINAL, State
from runtime.worker.signs_of_life import SignsOfLife

STEPS = 32
MOST_JOBS = 4
WORKERS = 2
LOST_AFTER_S = 30.0
PATIENCE = timedelta(seconds=10)
ROUNDS = 40
"""After so many rounds in which nothing goes wrong, whatever has not ended never will."""
WISHES = (
    Wish(),
    Wish(has_key=True),
    Wish(has_key=True),
    Wish(retries=1),
    Wish(after_s=20),
    Wish(expires_s=10),
    Wish(has_key=True, retries=1, expires_s=40),
)
PASSING_S = (0.01, 0.3, 1.0, 5.0, 12.0, 35.0, 35.0, 70.0)
ENDS = (State.SUCCEEDED, State.SUCCEEDED, State.FAILED, State.CANCELLED)


@dataclass(slots=True)
class _Worker:
    """A worker process: what it believes that it holds, and its last sign of life."""

    name: str
    sign: datetime
    holds: list[Held] = field(default_factory=list["Held"])


@dataclass(slots=True)
class Schedule:
    """The actors, what they know, and what was told to whom. `run` takes all steps."""

    seed: int
    machine: Machine
    trace: list[tuple[float, Step]] = field(default_factory=list[tuple[float, Step]])
    changes: set[tuple[State, State]] = field(default_factory=set[tuple[State, State]])
    at: datetime = NOON
    passed_s: float = 0.0
    tickets: int = 0
    made: int = 0
    accepted: list[str] = field(default_factory=list[str])
    workers: list[_Worker] = field(default_factory=list[_Worker])
    orphans: list[Held] = field(default_factory=list["Held"])
    """What a worker held that is dead or was taken for dead, and may still wake up."""
    signs: SignsOfLife = field(default_factory=lambda: SignsOfLife(lost_after_s=LOST_AFTER_S))
    to_put_back: tuple[Held, ...] = ()
    to_expire: tuple[str, ...] = ()
    overdue: tuple[AtAttempt, ...] = ()
    to_tell: tuple[AtAttempt, ...] = ()
    seen: Seen = field(default_factory=lambda: Seen({}, {}))
    chance: Random = field(default_factory=Random)
    step: Step = field(default_factory=Step)

    def run(self) -> None:
        """Take all steps; raise Broken at the first one after which something does not hold."""
        self.chance = Random(self.seed)
        self.workers = [self._new_worker() for _ in range(WORKERS)]
        self._client_submits()
        self._checked()
        kinds, random = KINDS, self.chance.random
        number = len(kinds)
        for _ in range(STEPS):
            kinds[int(random() * number)](self)
            self._checked()
        self._come_to_rest()

    # Clients

    def _client_submits(self) -> None:
        if len(self.accepted) >= MOST_JOBS:
            return self._client_sends_again()
        self.made += 1
        return self._submit(f"job-{self.made}")

    def _client_sends_again(self) -> None:
        self._submit(self.chance.choice(self.accepted))

    def _submit(self, job: str) -> None:
        told = self.machine.submit(job, self.chance.choice(WISHES), at=self.at)
        self._did("submit", job, told)
        if told != FULL:
            self._is(told == job, f"{job} was sent, and {told} is told")
            self.tickets += 1
            if job not in self.accepted:
                self.accepted.append(job)

    def _client_cancels(self) -> None:
        job = self._any_job()
        told = self.machine.cancel(job, at=self.at)
        self._did("cancel", job, told)
        self._is(told in {State.CANCELLED, State.RUNNING, REFUSED}, f"a cancel is told {told}")

    def _client_retries(self) -> None:
        job = self._any_job()
        told = self.machine.retry(job, at=self.at)
        self._did("retry", job, told)
        self.tickets += told == State.QUEUED

    def _client_answers(self) -> None:
        job = self._any_job()
        told = self.machine.answer(job, at=self.at)
        self._did("answer", job, told)
        self.tickets += told == State.QUEUED

    def _any_job(self) -> str:
        return self.chance.choice(self.accepted)

    # The queue

    def _ticket_is_taken(self) -> None:
        if self.tickets:
            self.tickets -= self.chance.random() < 0.8  # else it is delivered once more
            self._claim(self.chance.choice(self.workers))

    def _ticket_is_lost(self) -> None:
        self.tickets = max(0, self.tickets - 1)
        self._did("lose a ticket", "", "")

    # Workers

    def _claim(self, worker: _Worker) -> str:
        self.made += 1
        token = f"token-{self.made:06x}"
        told = self.machine.claim(worker.name, token, at=self.at)
        self._did("claim", told, worker.name, token=token)
        if told:
            worker.holds.append((told, token))
        return told

    def _worker_shows_life(self) -> None:
        self.chance.choice(self.workers).sign = self.at

    def _worker_writes(self) -> None:
        if held := self._any_held():
            before = self.seen.jobs[held[0]]
            is_stored = self.machine.write(held, at=self.at)
            self._did("write", held[0], str(is_stored), token=held[1])
            is_its = before.state is State.RUNNING and before.token == held[1]
            self._is(
                is_stored == is_its, f"an event was stored: {is_stored}, of the holder: {is_its}"
            )

    def _worker_finishes(self) -> None:
        if held := self._any_held():
            self._finish(held, self.chance.choice(ENDS))

    def _finish(self, held: Held, state: State) -> None:
        told = self.machine.finish(held, state, at=self.at)
        self._published("finish", held, told)

    def _worker_asks(self) -> None:
        if held := self._any_held():
            self._published("ask", held, self.machine.ask(held, at=self.at))

    def _worker_gives_back(self) -> None:
        if held := self._any_held():
            code = self.chance.choice((DRAINED, OURS))
            self._published("give-back", held, self.machine.give_back(held, code, at=self.at))

    def _worker_unclaims(self) -> None:
        if held := self._any_held():
            self._published("unclaim", held, self.machine.unclaim(held, at=self.at))

    def _published(self, act: str, held: Held, told: str) -> None:
        before = self.seen.jobs[held[0]]
        self._did(act, held[0], told, token=held[1])
        is_its = before.state is State.RUNNING and before.token == held[1]
        self._is((told != SUPERSEDED) == is_its, f"{act} is told {told}, of the holder: {is_its}")
        self._let_go(held)
        self.tickets += told == State.QUEUED

    def _worker_dies(self) -> None:
        worker = self.chance.choice(self.workers)
        self._did("die", "", worker.name)
        self.orphans += worker.holds  # it may have been paused only
        worker.holds = []
        if self.chance.random() < 0.7:  # else another process takes its name at once
            self.workers.remove(worker)
            self.workers.append(self._new_worker())

    def _worker_loses_what_it_holds(self) -> None:
        """Forget an attempt while alive, as after a fault that nobody caught."""
        worker = self.chance.choice(self.workers)
        if worker.holds:
            self._did("forget", worker.holds.pop()[0], worker.name)

    def _worker_looks_at_its_own(self) -> None:
        self._look_at_own(self.chance.choice(self.workers))

    def _look_at_own(self, worker: _Worker) -> None:
        for held in self.machine.running_on(worker.name):
            if held not in worker.holds:
                self._put_back(held)
                self._checked()

    def _any_held(self) -> Held | None:
        if self.orphans and self.chance.random() < 0.3:
            return self.chance.choice(self.orphans)
        held = [one for worker in self.workers for one in worker.holds]
        return self.chance.choice(held) if held else None

    def _let_go(self, held: Held) -> None:
        for holds in (self.orphans, *(worker.holds for worker in self.workers)):
            if held in holds:
                holds.remove(held)

    def _new_worker(self) -> _Worker:
        self.made += 1
        return _Worker(name=f"worker-{self.made}", sign=self.at)

    # Who looks after all

    def _reconciler_looks(self) -> None:
        signs = {worker.name: worker.sign for worker in self.workers}
        alive = tuple(sorted(self.signs.alive(signs, now_s=self.passed_s)))
        self.to_put_back = self.machine.running_elsewhere(alive=alive)
        self._did("reconcile", "", ", ".join(job for job, _ in self.to_put_back))
        living = {held for worker in self.workers if worker.name in alive for held in worker.holds}
        self._is(living.isdisjoint(self.to_put_back), "what a living worker runs is taken back")

    def _reconciler_puts_back(self) -> None:
        if self.to_put_back:
            held, *others = self.to_put_back
            self.to_put_back = tuple(others)
            self._put_back(held)

    def _put_back(self, held: Held) -> None:
        told = self.machine.give_back(held, LOST, at=self.at)
        self._did("put-back", held[0], told, token=held[1])
        self.tickets += told == State.QUEUED

    def _reconciler_dispatches_again(self) -> None:
        if self.machine.are_due(before=self.at - PATIENCE):
            self.tickets += 1

    def _timekeeper_looks(self) -> None:
        self.to_expire = self.machine.late(at=self.at)
        self.overdue = self.machine.overdue(at=self.at)
        self.tickets += self.machine.is_due(at=self.at)

    def _timekeeper_expires(self) -> None:
        if self.to_expire:
            job, *others = self.to_expire
            self.to_expire = tuple(others)
            self.machine.expire(job, at=self.at)
            self._did("expire", job, "")

    def _timekeeper_expires_a_question(self) -> None:
        if self.overdue:
            asked, *others = self.overdue
            self.overdue = tuple(others)
            self.machine.expire_question(asked, at=self.at)
            self._did("expire-question", asked[0], str(asked[1]))

    def _teller_looks(self) -> None:
        self.to_tell = self.machine.untold()

    def _teller_tells(self) -> None:
        if self.to_tell:
            self._tell(self.chance.choice(self.to_tell))

    def _tell(self, ended: AtAttempt) -> None:
        self.machine.tell(ended, at=self.at)
        self._did("tell", ended[0], str(ended[1]))

    def _time_passes(self) -> None:
        self._pass(self.chance.choice(PASSING_S))

    def _pass(self, passing_s: float) -> None:
        self.passed_s += passing_s
        self.at += timedelta(seconds=passing_s)

    # What is checked

    def _did(self, act: str, job: str, told: str, *, token: str = "") -> None:
        self.step = Step(act, job, told, token)
        self.trace.append((self.passed_s, self.step))

    def _checked(self) -> None:
        if not self.step.act:
            return  # nothing was done
        before, self.seen = self.seen, self.machine.look()
        try:
            self.changes |= check(before, self.seen, step=self.step)
        except Broken as broken:
            raise self._broken(str(broken)) from None
        self.step = Step()

    def _is(self, holds: bool, what: str) -> None:  # noqa: FBT001
        if not holds:
            raise self._broken(what)

    def _broken(self, what: str) -> Broken:
        return Broken(
            f"{what}\nseed {self.seed}: scripts/simulate --seed {self.seed}\n{self.story()}"
        )

    def story(self) -> str:
        """Return what was done until now, a line for each act, with what was told."""
        return "\n".join(
            f"{at_s:8.2f} s  {one.act:<16}{one.job:<8}{one.told} {one.token}".rstrip()
            for at_s, one in self.trace
        )

    def _come_to_rest(self) -> None:
        """Let nothing go wrong any more: every job comes to its end, and its end is told."""
        self.tickets = 0
        self.orphans.clear()
        for worker in self.workers:
            del worker.holds[1:]  # whatever else it had, it has lost
        for _ in range(ROUNDS):
            self._round()
            if all(job.state in FINAL for job in self.seen.jobs.values()):
                break
        self._teller_looks()
        for told in self.to_tell:
            self._tell(told)
            self._checked()
        open_ = [job for job, one in self.seen.jobs.items() if one.state not in FINAL]
        self._is(not open_, f"{open_} never came to an end")
        self._is(
            set(self.seen.jobs) == set(self.accepted), "what was accepted is not what is there"
        )
        untold = [job for job, one in self.seen.jobs.items() if not one.messages]
        self._is(not untold, f"nobody was told of the end of {untold}")
        self._is(not self.machine.untold(), "somebody is still to be told")

    def _round(self) -> None:
        self._pass(100.0)
        for worker in self.workers:
            worker.sign = self.at
        self._do(self._reconciler_looks)
        while self.to_put_back:
            self._do(self._reconciler_puts_back)
        for worker in self.workers:
            self._look_at_own(worker)
        self._do(self._timekeeper_looks)
        while self.to_expire:
            self._do(self._timekeeper_expires)
        while self.overdue:
            self._do(self._timekeeper_expires_a_question)
        self._do(self._reconciler_dispatches_again)
        self._work_off()

    def _work_off(self) -> None:
        """Finish what runs, and what waits as far as somebody knows that it does."""
        while True:
            for held in [held for one in self.workers for held in one.holds]:
                self._finish(held, State.SUCCEEDED)
                self._checked()
            if not self.tickets or not self._claim(self.workers[0]):
                break
            self._checked()
        self._checked()
        self.tickets = 0

    def _do(self, act: Callable[[], None]) -> None:
        act()
        self._checked()


type Kind = Callable[[Schedule], None]
_ = Schedule
WEIGHTS: dict[Kind, int] = {
    _._client_submits: 5,
    _._client_sends_again: 2,
    _._client_cancels: 5,
    _._client_retries: 5,
    _._client_answers: 3,
    _._ticket_is_taken: 16,
    _._ticket_is_lost: 2,
    _._worker_shows_life: 6,
    _._worker_writes: 2,
    _._worker_finishes: 8,
    _._worker_asks: 5,
    _._worker_gives_back: 5,
    _._worker_unclaims: 3,
    _._worker_dies: 3,
    _._worker_loses_what_it_holds: 1,
    _._worker_looks_at_its_own: 3,
    _._reconciler_looks: 6,
    _._reconciler_puts_back: 6,
    _._reconciler_dispatches_again: 2,
    _._timekeeper_looks: 4,
    _._timekeeper_expires: 3,
    _._timekeeper_expires_a_question: 3,
    _._teller_looks: 2,
    _._teller_tells: 4,
    _._time_passes: 12,
}
KINDS: tuple[Kind, ...] = tuple(kind for kind, weight in WEIGHTS.items() for _ in range(weight))
"""Every kind of step, as often as its weight; what cannot be done just now is done in vain."""
