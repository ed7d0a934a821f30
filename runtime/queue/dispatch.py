"""How a worker hears that there is work.

A task is a ticket: it says that a job waits, not which. Whoever takes the ticket claims jobs from
the store for a while, so one ticket that nobody has taken yet is enough for all jobs that were
stored before it is taken.
"""

import asyncio
import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from runtime.queue.queue import Queues
from runtime.values.clock import Clock
from runtime.values.ids import new_id
from runtime.values.records import Job

TICKET_TASK = "fumehood_ticket"
ACTIVATION_TASK = "fumehood_activation"
HANDED_ON = "handed-on-"
A_SECOND = 10
"""So many tickets at most are handed on for a second, by all workers together."""


@dataclass(slots=True, kw_only=True)
class Tickets:
    """The tickets of this process that nobody has taken yet, as far as it can know.

    Only where the worker is this very process (`is_told`) does it hear that one was taken;
    elsewhere every job has a ticket of its own, unless somebody here waits for one.
    """

    is_told: bool
    untaken: set[str] = field(default_factory=set[str])
    lingering: list[asyncio.Event] = field(default_factory=list[asyncio.Event])
    handed_on: str = ""
    """The last ticket that was left to other workers."""

    def are_enough(self) -> bool:
        """Return whether somebody will look into the store yet, after what was stored by now.

        Wakes who lingers, where only that one would.
        """
        if self.untaken:
            return True
        if not self.lingering:
            return False
        woken = self.lingering.pop()
        woken.set()
        self.given(_name_of(woken))
        return True

    def given(self, ticket: str) -> None:
        """Note a ticket, where it will be heard that somebody took it."""
        if self.is_told:
            self.untaken.add(ticket)

    async def linger(self, at_most_s: float) -> bool:
        """Wait for a job that somebody stores; return whether it came within that time.

        Where tickets come from other processes too, one at a time waits: each is a task of Docket's
        meanwhile, and a loop that is full of them took no ticket for `docket_check_interval_ms`.
        """
        if self.lingering and not self.is_told:
            return False
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


@dataclass(frozen=True, slots=True, kw_only=True)
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
        self.tickets.given(ticket)
        if not await self.queues.of_jobs.add(TICKET_TASK, ticket):
            self.taken(ticket)

    async def hand_on(self, *, after_s: float) -> None:
        """Leave to another worker what waits, and is not for this one or not now.

        A queue knows no second task of a name, and these are named by when they are due: so they
        are few, however many are left, and none is refused since a former one is run for hours.
        """
        when = self.clock() + timedelta(seconds=after_s)
        ticket = f"{HANDED_ON}{math.ceil(when.timestamp() * A_SECOND)}"
        if ticket != self.tickets.handed_on:
            self.tickets.handed_on = ticket
            await self.queues.of_jobs.add(TICKET_TASK, ticket, when=when if after_s else None)

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
