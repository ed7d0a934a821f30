"""Why a job has not ended: the complete list of what it waits for. One pure function.

The API, the command line and the page of a job all say what it returns.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from frozen.values import frozen
from runtime.values.records import Job, Worker
from runtime.values.states import State
from runtime.values.when.line import lacking
from runtime.values.when.schedules import Pause
from wheelhouse.times import rfc3339

MOST_NAMED = 20
"""How many of the jobs that hold another one are named."""


@frozen
class Wait:
    """One rule that a job waits for: a stable code, in words, when it clears if that is known.

    `mend` is what one can do about it; `jobs` are those that it waits for, as far as who asks
    sees them.
    """

    code: str
    what: str
    mend: str
    clears_at: datetime | None = None
    jobs: tuple[str, ...] = ()


@frozen
class WorkerSeen:
    """A worker that is alive, and how many jobs it runs."""

    worker: Worker
    running: int


@frozen
class Facts:
    """What there is to know of a job at one moment.

    `before` jobs go before it, among those that wait for the same. `with_key` jobs run with its
    key; `seen_with_key` and `seen_running` name those that who asks sees. `phase` is where its
    attempt is, while it runs.
    """

    job: Job
    at: datetime
    before: int = 0
    all_paused: Pause | None = None
    package_paused: Pause | None = None
    with_key: int = 0
    seen_with_key: tuple[str, ...] = ()
    with_rate: int = 0
    rate_free_at: datetime | None = None
    workers: tuple[WorkerSeen, ...] = ()
    seen_running: tuple[str, ...] = ()
    phase: str = ""


def waits_for(facts: Facts) -> tuple[Wait, ...]:
    """Return everything that a job waits for; nothing for one that has ended."""
    match facts.job.state:
        case State.QUEUED:
            return tuple(_queued(facts)) or (NEXT,)
        case State.RUNNING:
            return (_running(facts),)
        case State.WAITING:
            return (ANSWER,)
        case _:
            return ()


NEXT = Wait(
    code="next",
    what="it is next, and a slot is free",
    mend="nothing to do: a worker takes it in a moment",
)
ANSWER = Wait(
    code="answer",
    what="it asked a question, and waits for the answer",
    mend="answer it, or cancel the job",
)


def _running(facts: Facts) -> Wait:
    job = facts.job
    if job.cancel_requested_at is not None:
        return Wait(
            code="stopping",
            what=f"somebody asked at {rfc3339(job.cancel_requested_at)} to cancel it",
            mend="its cell is stopped within seconds",
        )
    where = f", in the phase {facts.phase}" if facts.phase else ""
    since = f" since {rfc3339(job.started_at)}" if job.started_at else ""
    return Wait(
        code="running",
        what=f"attempt {job.attempt} runs on {job.worker}{since}{where}",
        mend=f"`fumehood job logs -f {job.id}` follows it",
    )


def _queued(facts: Facts) -> Iterator[Wait]:
    yield from _times(facts)
    yield from _pauses(facts)
    yield from _keys(facts)
    yield from _workers(facts)
    if facts.before:
        held = facts.job.held_by is not None
        where = "of those that wait for the same" if held else "in the order of turns"
        yield Wait(
            code="turn",
            what=f"{facts.before} jobs go before it, {where}",
            mend="more slots or workers take them sooner; a higher priority takes it sooner",
        )


def _times(facts: Facts) -> Iterator[Wait]:
    job = facts.job
    if job.due_at <= facts.at:
        return
    until = rfc3339(job.due_at)
    told = {
        "backoff": (
            f"attempt {job.attempt - 1} failed, and the next one begins at {until}",
            "cancel it, and retry it: then it begins at once",
        ),
        "rate": (f"the rate {job.rate_key} lets it start at {until}", "raise the rate"),
    }
    what, mend = told.get(
        job.due_why, (f"it is not to begin before {until}", "send another one without not_before")
    )
    yield Wait(code=job.due_why or "not-before", what=what, mend=mend, clears_at=job.due_at)


def _pauses(facts: Facts) -> Iterator[Wait]:
    for pause, code, of in (
        (facts.all_paused, "paused", "all dispatch"),
        (facts.package_paused, "paused-package", f"the package {facts.job.package}"),
    ):
        if pause is None:
            continue
        until = f" until {rfc3339(pause.until)}" if pause.until else ""
        option = "" if code == "paused" else f" --package {facts.job.package}"
        yield Wait(
            code=code,
            what=f"{pause.who} paused {of}{until}: {pause.reason}",
            mend=f"`fumehood queue resume{option}`",
            clears_at=pause.until,
        )


def _keys(facts: Facts) -> Iterator[Wait]:
    job = facts.job
    if job.slot_key is not None and facts.with_key >= (job.slot_most or 1):
        yield Wait(
            code="key",
            what=f"{facts.with_key} jobs with the key {job.slot_key} run or are next, and "
            f"{job.slot_most} may",
            mend="wait for their end, or cancel one; the rule is the manifest's or the admin's",
            jobs=facts.seen_with_key,
        )
    if job.rate_key is not None and job.due_why != "rate" and facts.with_rate:
        yield Wait(
            code="rate",
            what=f"{facts.with_rate} jobs of the rate {job.rate_key} start before it",
            mend="wait; one starts each "
            f"{job.rate_between_s:g} s by the rule of the manifest or the admin",
            clears_at=facts.rate_free_at,
        )


def _lacks(job: Job, worker: Worker) -> tuple[str, ...]:
    return lacking(job.needs, frozenset(worker.offers.split()))


def _no_offer(job: Job, workers: Iterable[Worker]) -> Wait:
    """Return what a job waits for that no worker can run, by the one that lacks least."""
    least = min((_lacks(job, one) for one in workers), key=len)
    return Wait(
        code="no-such-worker",
        what=f"no worker has {' and '.join(least)}, which it needs",
        mend="start one that has it: a Python of that version, or the label in its setting "
        "`labels`",
    )


def _workers(facts: Facts) -> Iterator[Wait]:
    platform = facts.job.platform
    if not facts.workers:
        yield Wait(code="no-worker", what="no worker is alive", mend="start one: `fumehood worker`")
        return
    of_platform = [one for one in facts.workers if platform in {"", one.worker.platform}]
    able = [one for one in of_platform if not _lacks(facts.job, one.worker)]
    if of_platform and not able:
        yield _no_offer(facts.job, [one.worker for one in of_platform])
        return
    if not able:
        yield Wait(
            code="no-such-worker",
            what=f"no worker has {platform}, which its environment is built for",
            mend=f"start a worker on {platform}, or activate the version on another platform",
        )
        return
    taking = [one for one in able if one.worker.drained_at is None]
    if not taking:
        names = ", ".join(sorted(one.worker.id for one in able))
        yield Wait(
            code="drained",
            what=f"every worker that could run it takes no more jobs: {names}",
            mend="`fumehood queue worker-resume ID`, or start another one",
        )
        return
    slots = sum(one.worker.slots for one in taking)
    running = sum(one.running for one in taking)
    if running >= slots:
        yield Wait(
            code="slots",
            what=f"all {slots} slots are taken",
            mend="wait for the end of a job, or give a worker more `slots`",
            jobs=facts.seen_running,
        )
