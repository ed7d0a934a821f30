"""What a schedule asks of the jobs' state machine, and what can be seen of it after each step."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from runtime.values.states import State

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
MOST_ATTEMPTS = 3
QUEUE_LIMIT = 3
KEY = "key"
"""The key that some jobs share, of which one may run at a time."""
QUESTION = "which"
REFUSED = "refused"
"""What is told to whom the state of a job does not allow what it asks for."""
SUPERSEDED = "superseded"
FULL = "full"
OURS, DRAINED, LOST = "cell-lost", "drained", "worker-lost"
"""Why an attempt is given back."""

type Held = tuple[str, str]
"""A job, and a token of an attempt at it."""
type AtAttempt = tuple[str, int]
"""A job, and the number of one of its attempts."""


class Wish(NamedTuple):
    """How a job is ordered."""

    has_key: bool = False
    retries: int = 0
    after_s: float = 0
    expires_s: float = 0


class AttemptSeen(NamedTuple):
    """An attempt as it is written down; `fault` is whose fault its end is, empty for nobody's."""

    number: int
    state: State
    token: str | None
    fault: str


class JobSeen(NamedTuple):
    """A job as it is written down. `ends` are the attempts that an end was told of."""

    state: State
    attempt: int
    token: str | None
    worker: str | None
    is_asked_to_stop: bool
    has_key: bool
    turn: int
    held_by: str | None
    attempts: tuple[AttemptSeen, ...]
    ends: tuple[int, ...]
    messages: int
    is_dead: bool


class Seen(NamedTuple):
    """All jobs at one moment, and the counters."""

    jobs: Mapping[str, JobSeen]
    counted: Mapping[State, int]


class Machine(Protocol):
    """The state machine: the real functions of the store, or the model of them.

    What changes something returns in a word what was told; what does not returns what it found.
    """

    def submit(self, job: str, wish: Wish, *, at: datetime) -> str: ...
    def cancel(self, job: str, *, at: datetime) -> str: ...
    def retry(self, job: str, *, at: datetime) -> str: ...
    def answer(self, job: str, *, at: datetime) -> str: ...
    def claim(self, worker: str, token: str, *, at: datetime) -> str: ...
    def write(self, held: Held, *, at: datetime) -> bool: ...
    def finish(self, held: Held, state: State, *, at: datetime) -> str: ...
    def ask(self, held: Held, *, at: datetime) -> str: ...
    def give_back(self, held: Held, code: str, *, at: datetime) -> str: ...
    def unclaim(self, held: Held, *, at: datetime) -> str: ...
    def running_elsewhere(self, *, alive: tuple[str, ...]) -> tuple[Held, ...]: ...
    def running_on(self, worker: str) -> tuple[Held, ...]: ...
    def are_due(self, *, before: datetime) -> bool: ...
    def late(self, *, at: datetime) -> tuple[str, ...]: ...
    def is_due(self, *, at: datetime) -> bool: ...
    def expire(self, job: str, *, at: datetime) -> None: ...
    def overdue(self, *, at: datetime) -> tuple[AtAttempt, ...]: ...
    def expire_question(self, asked: AtAttempt, *, at: datetime) -> None: ...
    def untold(self) -> tuple[AtAttempt, ...]: ...
    def tell(self, ended: AtAttempt, *, at: datetime) -> None: ...
    def look(self) -> Seen: ...
