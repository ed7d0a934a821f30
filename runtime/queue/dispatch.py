"""How a worker hears that there is work.

A task is a ticket: it says that a job waits, not which. Whoever takes the ticket claims jobs from
the store for a while, so one ticket that nobody has taken yet is enough for all jobs that were
stored before it is taken.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from runtime.queue.queue import Queues
from runtime.values.clock import Clock
from runtime.values.ids import new_id
from runtime.values.records import Job
from wheelhouse.frozen import frozen

TICKET_TASK = "fumehood_ticket"
ACTIVATION_TASK = "fumehood_activation"
HANDED_ON = ("handed-on", "handed-on-again")


@dataclass(slots=True, kw_only=True)
class Tickets:
    """The tickets of this process that nobody has taken yet, as far as it can know.

    Only where the worker is this very process (`is_told`) does it hear that one was taken;
    elsewhere every job has a ticket of its own.
    """

    is_told: bool
    untaken: set[str] = field(default_factory=set[str])
    lingering: list[asyncio.Event] = field(default_factory=list[asyncio.Event])

    def are_enough(self) -> bool:
        """Return whether somebody will look into the store yet, after what was stored by now.

        Wakes who lingers, where only that one would.
        """
        if self.is_told and not self.untaken and self.lingering:
            woken = self.lingering.pop()
            woken.set()
            self.untaken.add(_name_of(woken))
        return self.is_told and bool(self.untaken)

    async def linger(self, at_most_s: float) -> bool:
        """Wait for a job that somebody stores; return whether it came within that time."""
        woken = asyncio.Event()
        self.lingering.append(woken)
        try:
            async with asyncio.timeout(at_most_s):
                await woken.wait()
        except TimeoutError:
            pass
        finally:
            if not woken.is_set():
                self.lingering.remove(woken)
            self.untaken.discard(_name_of(woken))
        return woken.is_set()


def _name_of(woken: asyncio.Event) -> str:
    return f"woken-{id(woken)}"


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

    async def at(self, when: datetime) -> None:
        """Say that there will be work then."""
        await self.queues.of_jobs.add(TICKET_TASK, new_id(), when=when)

    async def ticket(self, subject: str = "") -> None:
        """Say that there is work, unless that was said and not heard yet."""
        if self.tickets.are_enough():
            return
        ticket = subject or new_id()
        self.tickets.untaken.add(ticket)
        if not await self.queues.of_jobs.add(TICKET_TASK, ticket):
            self.taken(ticket)

    async def hand_on(self, ticket: str, *, after_s: float) -> None:
        """Leave to another worker what waits and is not for the one that has `ticket`.

        One such ticket at a time is enough, whoever leaves it. The one being run still has its
        name, and a queue knows no second task of a name: so there are two names, in turn.
        """
        name = HANDED_ON[1] if ticket == HANDED_ON[0] else HANDED_ON[0]
        when = self.clock() + timedelta(seconds=after_s)
        await self.queues.of_jobs.add(TICKET_TASK, name, when=when)

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
