"""Whose turn it is: which of the waiting jobs is next, as pure decisions over what waits.

Jobs of one package, sent by one principal with one priority, stand in a line. The lines take turns
(self-clocked fair queueing, Golestani, INFOCOM 1994): a job's turn is a step after that of the last
one in its line, and a step after that of the job that was claimed last. So whoever sends a thousand
jobs waits for its own. A priority makes the step shorter or longer: such jobs go before others that
came a little earlier, and before none that waited for long: the turn that is claimed only rises.
"""

from collections.abc import Container, Iterable
from datetime import datetime, timedelta

from frozen.values import frozen

NOT_DUE = 10**15
"""Turns from here on are of jobs that are not due yet, in the order in which they will be."""
HELD = 2 * NOT_DUE
"""Turns from here on are of jobs that something holds, in the order in which they came."""
STEP = 64
LOWEST, HIGHEST = -2, 2
"""The priorities that there are; each has four times the turns of the one below."""
PRIORITY_MS = 60_000
"""Among those that one thing holds, a priority counts as so much longer a wait."""

PYTHON, ANY_PYTHON = "cpython-", "cpython-any"
"""What the Pythons among needs and offers begin with. In one process what was activated runs."""
PACKAGE, KEY, RATE = "package:", "key:", "rate:"
"""What holds a job: a pause of its package, jobs with its key, or jobs with its rate."""


@frozen
class Waiting:
    """A job whose turn may come; `platform` is empty where any will do.

    `running` jobs have its key, of which `slot_most` may run.
    """

    id: str
    package: str
    platform: str
    slot_key: str | None = None
    slot_most: int | None = None
    running: int = 0
    is_paused: bool = False
    expires_at: datetime | None = None
    needs: str = ""


@frozen
class Ability:
    """What a worker can do: `platform` is what its environments are built for.

    `offers` are its Pythons and its labels, as words; ANY_PYTHON is each that an activation finds.
    """

    platform: str
    offers: frozenset[str] = frozenset({ANY_PYTHON})


@frozen
class Choice:
    """The job to run next, if there is one, and of those before it which must not wait here.

    `held` are jobs with what holds them; `expired` waited until it was too late.
    """

    chosen: Waiting | None = None
    held: tuple[tuple[str, str], ...] = ()
    expired: tuple[str, ...] = ()


def choose(waiting: Iterable[Waiting], *, ability: Ability, at: datetime) -> Choice:
    """Return the first of `waiting`, in the order of their turns, that can be run.

    >>> arm, intel = (Waiting(id=p, package="hello", platform=p) for p in ("aarch64", "x86_64"))
    >>> choose([arm, intel], ability=Ability(platform="x86_64"), at=datetime.max).chosen.id
    'x86_64'
    """
    held: list[tuple[str, str]] = []
    expired: list[str] = []
    chosen = None
    for one in waiting:
        if one.expires_at is not None and one.expires_at <= at:
            expired.append(one.id)
        elif by := _held_by(one):
            held.append((one.id, by))
        elif one.platform in {"", ability.platform} and not lacking(one.needs, ability.offers):
            chosen = one
            break
    return Choice(chosen=chosen, held=tuple(held), expired=tuple(expired))


def lacking(needs: str, offers: Container[str]) -> tuple[str, ...]:
    """Return those words of `needs` that are not offered.

    >>> lacking("cpython-312 gpu", {"cpython-312", "fast"})
    ('gpu',)
    """
    return tuple(
        need
        for need in needs.split()
        if need not in offers and not (need.startswith(PYTHON) and ANY_PYTHON in offers)
    )


def as_words(needs: Iterable[str]) -> str:
    """Return `needs`, or what is offered, as they are kept: sorted, with a space between."""
    return " ".join(sorted(set(needs)))


def _held_by(one: Waiting) -> str:
    """Return what holds a job whose turn it would be; empty for nothing."""
    if one.is_paused:
        return PACKAGE + one.package
    if one.slot_key is not None and one.running >= (one.slot_most or 1):
        return KEY + one.slot_key
    return ""


@frozen
class Standing:
    """What there is to know of where a job would stand, as it begins to wait.

    `now` is the turn that was claimed last. `with_key` jobs have its key, and run or stand in a
    line; `with_rate` have its rate, and stand in a line or will; `rate_free_at` is when the next
    of these may start.
    """

    now: int | None = None
    last_of_line: int | None = None
    is_paused: bool = False
    with_key: int = 0
    with_rate: int = 0
    rate_free_at: datetime | None = None


@frozen
class Joining:
    """A job that begins to wait."""

    package: str
    priority: int
    due_at: datetime
    queued_at: datetime
    slot_key: str | None = None
    slot_most: int | None = None
    rate_key: str | None = None


@frozen
class Place:
    """Where a job waits: its turn, what holds it if anything does, and when it is due."""

    turn: int
    due_at: datetime
    held_by: str | None = None
    is_for_rate: bool = False


def place_of(one: Joining, *, standing: Standing, at: datetime) -> Place:
    """Return where a job waits that begins to wait `at` that time."""
    if one.due_at > at:
        return Place(turn=turn_when_due(one.due_at), due_at=one.due_at)
    if by := _kept_by(one, standing):
        return Place(turn=turn_when_held(one), due_at=one.due_at, held_by=by)
    free_at = standing.rate_free_at
    if one.rate_key is not None and free_at is not None and free_at > at:
        return Place(turn=turn_when_due(free_at), due_at=free_at, is_for_rate=True)
    turn = turn_after(now=standing.now, last_of_line=standing.last_of_line, priority=one.priority)
    return Place(turn=turn, due_at=one.due_at)


def _kept_by(one: Joining, standing: Standing) -> str:
    """Return what holds a job from standing in its line; empty for nothing."""
    if standing.is_paused:
        return PACKAGE + one.package
    if one.slot_key is not None and standing.with_key >= (one.slot_most or 1):
        return KEY + one.slot_key
    if one.rate_key is not None and standing.with_rate:
        return RATE + one.rate_key
    return ""


def turn_after(*, now: int | None, last_of_line: int | None, priority: int = 0) -> int:
    """Return the turn of a job that joins its line. None: none was claimed, or waits in the line.

    >>> turn_after(now=64, last_of_line=None), turn_after(now=64, last_of_line=192)
    (128, 256)
    >>> turn_after(now=64, last_of_line=None, priority=2)
    68
    """
    return max(now or 0, last_of_line or 0) + step_of(priority)


def step_of(priority: int) -> int:
    """Return how far the turns of a line are apart: a quarter with each higher priority.

    >>> step_of(0), step_of(1), step_of(-1)
    (64, 16, 256)
    """
    return round(STEP * 4.0 ** -max(LOWEST, min(priority, HIGHEST)))


def turn_when_due(due_at: datetime) -> int:
    """Return the turn of a job that is not due before then."""
    return NOT_DUE + round(due_at.timestamp() * 1000)


def turn_when_held(one: Joining) -> int:
    """Return the turn of a job that something holds: who came first is first, aged by priority."""
    return HELD + round(one.queued_at.timestamp() * 1000) - one.priority * PRIORITY_MS


def next_start(started_at: datetime, *, between_s: float) -> datetime:
    """Return when the next job of a rate may start."""
    return started_at + timedelta(seconds=between_s)
