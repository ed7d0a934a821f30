"""How a worker hears that there is work.

A task is a ticket: it says that a job waits, not which. Whoever takes the ticket claims jobs from
the store for a while, so one ticket that nobody has taken yet is enough for all jobs that were
stored before it is taken.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from frozen.values import frozen
from runtime.queue.queue import Queues
from runtime.values.clock import Clock
from runtime.values.ids import new_id
from runtime.values.records import Job

TICKET_TASK = "fumehood_ticket"
ACTIVATION_TASK = "fumehood_activation"
HANDED_ON = "handed-on-"
A_SECOND = 10
"""So many tickets at most are handed on for a later second, by all workers together."""


def _nobody_here(_: str) -> bool:
    """Take no ticket: nobody in this process runs jobs."""
    return False


@dataclass(slots=True, kw_only=True)
class Tickets:
    """The tickets of this process that nobody has taken yet, as far as it can know.

    Only where the worker is this very process (`is_told`) does it hear that one was taken;
    elsewhere every job has a ticket of its own.
    """

    is_told: bool
    untaken: set[str] = field(default_factory=set[str])
    handed_on_for: int = 0
    """When the last ticket is due that was handed on for later, in tenths of a second."""
    take_here: Callable[[str], bool] = _nobody_here
    """Looks for jobs in this process, with a ticket; says whether it does. Docket's way to here and
    back took 2 ms of processor time for each job, of 10 on the event loop."""

    def are_enough(self) -> bool:
        """Return whether somebody will look into the store yet, after what was stored by now."""
        return bool(self.untaken)

    def given(self, ticket: str) -> None:
        """Note a ticket, where it will be heard that somebody took it."""
        if self.is_told:
            self.untaken.add(ticket)


@frozen
class Dispatch:
    """Hands work to the queues. What they do not take is logged: the reconciler tries again."""

    queues: Queues
    clock: Clock
    tickets: Tickets

    async def attempt(self, job: Job) -> None:
        """Say that the current attempt of `job` waits to be run, from when it is due."""
        subject = f"{job.id}:{job.attempt}"
        if job.due_at > self.clock():
            await self.queues.of_jobs.add(TICKET_TASK, subject, when=job.due_at)
        else:
            await self.ticket(subject)

    def is_looked_for(self, job: Job) -> bool:
        """Have a job looked for that is in line to be stored; return whether somebody does.

        Whoever looks stands in line behind it, so that both come in one transaction; where it is
        stored later after all (the answer to a commit was lost), the reconciler finds it.
        """
        if job.due_at > self.clock():
            return False
        if self.tickets.are_enough():
            return True
        ticket = f"{job.id}:{job.attempt}"
        self.tickets.given(ticket)
        if self.tickets.take_here(ticket):
            return True
        self.taken(ticket)
        return False

    async def at(self, when: datetime) -> None:
        """Say that there will be work then."""
        await self.queues.of_jobs.add(TICKET_TASK, new_id(), when=when)

    async def ticket(self, subject: str = "") -> None:
        """Say that there is work, unless that was said and not heard yet."""
        if self.tickets.are_enough():
            return
        ticket = subject or new_id()
        self.tickets.given(ticket)
        if self.tickets.take_here(ticket):
            return
        if not await self.queues.of_jobs.add(TICKET_TASK, ticket):
            self.taken(ticket)

    async def hand_on(self, *, after_s: float) -> None:
        """Leave to another worker what waits, and is not for this one or not now.

        A queue knows no second task of a name, and those for later are named by when they are due:
        so they are few, however many are left, and each that is refused is one to come.
        """
        if not after_s:
            await self.queues.of_jobs.add(TICKET_TASK, HANDED_ON + new_id())
            return
        due = math.ceil((self.clock().timestamp() + after_s) * A_SECOND)
        if due == self.tickets.handed_on_for:
            return  # it is still to come
        when = datetime.fromtimestamp(due / A_SECOND, tz=UTC)
        if await self.queues.of_jobs.add(TICKET_TASK, f"{HANDED_ON}{due}", when=when):
            self.tickets.handed_on_for = due

    async def ticket_anew(self) -> None:
        """Say that there is work, since what waits should have been taken by now."""
        self.tickets.untaken.clear()
        await self.ticket()

    def taken(self, ticket: str) -> None:
        """Hear that somebody has `ticket`, and looks into the store after this."""
        self.tickets.untaken.discard(ticket)

    async def activation(self, activation_id: str) -> None:
        """Ask for an activation to be run."""
        await self.queues.of_activations.add(ACTIVATION_TASK, activation_id)
