"""The slots of a worker: how many attempts are in their cells at a time.

A claim takes some 5 ms beside other jobs, as long as a short run. So while attempts are short, jobs
are claimed ahead of the cells that they will have: whoever has a turn claims, and whoever has
claimed goes in once a cell is free. While they are long, a turn is given only for a cell that is
free or about to be: the last run in it has its verdict, after which nothing of its package has a
say in how long it stays. Who was claimed ahead in vain does not wait for a long run: see `enter`.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

SHORT_S = 0.05
"""What attempts take in their cells, in the mean, while others are claimed ahead of them."""
WEIGHT = 0.25
"""How much the last attempt counts in that mean: after one of a minute, two dozen short ones have
to pass until anything is claimed ahead again."""
FREE_WITHIN_S = 0.5
"""How long who was claimed ahead waits for a cell; then another worker may have it."""


class Slots:
    """So many slots, handed out in the order in which they are asked for."""

    def __init__(
        self,
        number: int,
        *,
        free_within_s: float = FREE_WITHIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._number = number
        self._free_within_s = free_within_s
        self._clock = clock
        self._cells = asyncio.Semaphore(number)
        self._staying: dict[Slot, float] = {}
        """Who is in a cell, since when, and may stay there for as long as its package likes."""
        self._ahead = 0
        """How many have a turn, and no cell yet."""
        self._mean_s = 1.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def are_taken(self) -> bool:
        """Return whether who wants one has to wait for it."""
        return self._free <= 0

    @property
    def is_enough_waiting(self) -> bool:
        """Return whether as many wait for a slot as there are: nobody else needs to."""
        return len(self._waiting) >= self._number

    @asynccontextmanager
    async def one(self) -> AsyncGenerator["Slot"]:
        """Offer a slot, once it is one's turn."""
        await self._turn()
        slot = Slot(self)
        try:
            yield slot
        finally:
            slot.give_back()

    @property
    def _free(self) -> int:
        """Return how many more may claim just now."""
        if self._mean_s >= SHORT_S:
            return self._number - len(self._staying) - self._ahead
        since_s = self._clock() - SHORT_S
        long = sum(entered_s < since_s for entered_s in self._staying.values())
        return 2 * (self._number - long) - self._ahead

    def take(self) -> "Slot":
        """Take a slot whether there is one or not."""
        self._ahead += 1
        return Slot(self)

    async def _turn(self) -> None:
        """Wait until it is one's turn, and have it."""
        if self._free > 0 and not self._waiting:
            self._ahead += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(turn)
            else:
                self._ahead -= 1
                self._call()
            raise

    def _call(self) -> None:
        """Give turns to those whose turn it is."""
        while self._waiting and self._free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                self._ahead += 1
                turn.set_result(None)

    async def enter(self, slot: "Slot", *, is_patient: bool) -> bool:
        """Wait until a cell is free for `slot`; return whether one was, in time."""
        wait_s = self._free_within_s if self._cells.locked() and not is_patient else None
        try:
            async with asyncio.timeout(wait_s):
                await self._cells.acquire()
        except TimeoutError:
            self._mean_s = max(self._mean_s, 1.0)  # those in the cells are long
            return False
        self._ahead -= 1
        self._staying[slot] = self._clock()
        self._call()
        return True

    def leaving(self, slot: "Slot") -> None:
        """Know that `slot` stays no longer: its cell is about to be free."""
        since_s = self._staying.pop(slot, None)
        if since_s is not None:
            self._mean_s += WEIGHT * (self._clock() - since_s - self._mean_s)
            self._call()

    def left(self, *, has_been_in: bool) -> None:
        """Have a cell back, or the turn of who never came to one."""
        if has_been_in:
            self._cells.release()
        else:
            self._ahead -= 1
        self._call()


class Slot:
    """A turn to claim, and then a cell; given back once, however often that is said."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._is_in = self._is_out = False

    async def enter(self, *, is_patient: bool) -> bool:
        """Wait until a cell is free; return False where none is soon, unless `is_patient`.

        Then the cells are taken by longer runs than was expected, and the job waits again.
        """
        self._is_in = await self._slots.enter(self, is_patient=is_patient)
        return self._is_in

    def is_leaving(self) -> None:
        """Let the next one claim: the last run has its verdict."""
        self._slots.leaving(self)

    def give_back(self) -> None:
        """Let the next one in."""
        if not self._is_out:
            self._is_out = True
            self.is_leaving()
            self._slots.left(has_been_in=self._is_in)


def a_slot() -> Slot:
    """Return a slot that is nobody else's."""
    return Slots(1).take()
