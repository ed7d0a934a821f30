"""What holds after every step of every schedule."""

from typing import NamedTuple

from support.simulation.seen import REFUSED, SUPERSEDED, JobSeen, Seen

from runtime.values.states import ALLOWED, FINAL, State
from runtime.values.when.line import HELD, KEY, NOT_DUE

PAIRS = frozenset((a, b) for ways in ALLOWED.values() for a, b in ways.items())
"""Every change of state that there is."""
CHANGES_BY: dict[str, frozenset[State]] = {
    "submit": frozenset(),
    "cancel": frozenset({State.CANCELLED}),
    "retry": frozenset({State.QUEUED}),
    "answer": frozenset({State.QUEUED}),
    "claim": frozenset({State.RUNNING, State.CANCELLED}),  # or it has expired
    "finish": frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.QUEUED}),
    "ask": frozenset({State.WAITING, State.CANCELLED}),
    "unclaim": frozenset({State.QUEUED, State.CANCELLED}),
    "give-back": frozenset({State.QUEUED, State.FAILED, State.CANCELLED}),
    "put-back": frozenset({State.QUEUED, State.FAILED, State.CANCELLED}),
    "expire": frozenset({State.CANCELLED}),
    "expire-question": frozenset({State.FAILED}),
}
"""To which states an act may bring a job; any other act to none."""
NOTHING = frozenset[State]()


class Broken(AssertionError):
    """Something does not hold that always should."""


class Step(NamedTuple):
    """The act that was done last, and what was told to whom did it."""

    act: str = ""
    job: str = ""
    told: str = ""
    token: str = ""


def check(before: Seen, after: Seen, *, step: Step) -> set[tuple[State, State]]:
    """Hold `after` against what it was before; return the changes of state. Raises Broken."""
    changes: set[tuple[State, State]] = set()
    if not before.jobs.keys() <= after.jobs.keys():
        raise Broken("a job that was accepted is gone")
    holders = 0
    counted = dict.fromkeys(after.counted, 0)
    for name, job in after.jobs.items():
        was = before.jobs.get(name)
        if job != was:
            _alone(name, job)
            if was is not None:
                _since(name, was, job, step=step, changes=changes)
        if job.state in counted:
            counted[job.state] += 1
        holders += job.has_key and job.state is State.RUNNING
    if counted != after.counted:
        raise Broken(f"the counters are {after.counted}, and there are {counted}")
    if holders > 1:
        raise Broken("two jobs with one key run at once")
    _let_go(after)
    _told(after, step=step)
    return changes


def _alone(name: str, job: JobSeen) -> None:
    """Look at one job by itself."""
    numbers = [one.number for one in job.attempts]
    if numbers != list(range(1, job.attempt + 1)):
        raise Broken(f"{name} is at attempt {job.attempt}, and has {numbers}")
    last = job.attempts[-1]
    if last.state is not job.state:
        raise Broken(f"{name} is {job.state}, and its last attempt {last.state}")
    if any(one.state in {State.QUEUED, State.RUNNING} for one in job.attempts[:-1]):
        raise Broken(f"an attempt of {name} never ended")
    is_held = job.state is State.RUNNING
    if is_held and not (job.token and job.worker and last.token == job.token):
        raise Broken(f"{name} runs, and nobody holds it")
    if job.state in {State.QUEUED, State.WAITING} and job.token:
        raise Broken(f"{name} is {job.state}, and somebody holds it")
    if len(set(job.ends)) != len(job.ends):
        raise Broken(f"an end of {name} was told twice: {job.ends}")
    if (job.state in FINAL) != (job.attempt in job.ends):
        raise Broken(f"{name} is {job.state}, and ends were told of the attempts {job.ends}")
    if job.messages > len(job.ends):
        raise Broken(f"{name} has {job.messages} messages, and {len(job.ends)} ends")
    if job.state is State.QUEUED and (job.held_by is None) != (job.turn < HELD):
        raise Broken(f"{name} waits at turn {job.turn}, held by {job.held_by}")
    if job.state in FINAL and job.held_by:
        raise Broken(f"{name} has ended, and is held by {job.held_by}")


def _since(
    name: str, was: JobSeen, job: JobSeen, *, step: Step, changes: set[tuple[State, State]]
) -> None:
    """Look at what became of a job by one step."""
    if was.state is not job.state:
        changes.add((was.state, job.state))
        if (was.state, job.state) not in PAIRS:
            raise Broken(f"{name} was {was.state} and is {job.state}: no change does that")
        if job.state not in CHANGES_BY.get(step.act, NOTHING):
            raise Broken(f"{name} was {was.state} and is {job.state} by {step.act or 'nothing'}")
    elif was.state is State.RUNNING and was.token != job.token:
        raise Broken(f"another attempt took {name} while it ran")
    is_publishing = (
        step.act in {"finish", "ask", "unclaim", "give-back", "put-back"} and step.job == name
    )
    if is_publishing and (was.token != step.token or step.told == SUPERSEDED):
        raise Broken(f"{name} was changed by who does not hold it")
    if step.told == REFUSED:
        raise Broken(f"{step.act} was refused, and changed {name}")
    if job.attempt - was.attempt not in {0, 1}:
        raise Broken(f"{name} went from attempt {was.attempt} to {job.attempt}")
    if job.attempts[: was.attempt - 1] != was.attempts[: was.attempt - 1]:
        raise Broken(f"a former attempt of {name} was changed")
    if job.attempt > was.attempt and was.is_asked_to_stop and step.act != "retry":
        raise Broken(f"{name} was to be cancelled, and is tried again")
    if job.ends[: len(was.ends)] != was.ends:
        raise Broken(f"an end of {name} was taken back")


def _let_go(seen: Seen) -> None:
    """Nothing waits for somebody who is not there: who is held by a key has one before it."""
    queued = [job for job in seen.jobs.values() if job.state is State.QUEUED]
    held = [job for job in queued if job.held_by]
    if not held:
        return
    running = any(job.has_key for job in seen.jobs.values() if job.state is State.RUNNING)
    stands = any(job.has_key and not job.held_by and job.turn < NOT_DUE for job in queued)
    if not running and not stands:
        raise Broken("a job is held by a key that nobody has")
    if any(not (job.held_by or "").startswith(KEY) for job in held):
        raise Broken("a job is held by nothing that there is")


def _told(seen: Seen, *, step: Step) -> None:
    """What was told to who asked is so."""
    if step.act not in {"cancel", "retry", "answer"} or step.told not in tuple(State):
        return
    job = seen.jobs[step.job]
    if job.state != step.told:
        raise Broken(f"{step.act} of {step.job} was told {step.told}, and it is {job.state}")
    if step.act == "cancel" and not job.is_asked_to_stop and job.state is State.RUNNING:
        raise Broken(f"{step.job} was to be cancelled, and nobody wrote that down")
