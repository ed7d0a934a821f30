"""Never more attempts in cells than there are slots; claimed ahead only while runs are short."""

import asyncio
import random
from contextlib import suppress

import pytest

from runtime.jobs.attempts.slots import Slot, Slots


class Clock:
    """The time of slots, in seconds, which nothing but the test moves."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


async def has_turn(slots: Slots) -> bool:
    """Return whether somebody who asks for a slot now may claim at once."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.01), slots.one():
            return True
    return False


async def run_short(slots: Slots, number: int, clock: Clock) -> None:
    for _ in range(number):
        async with slots.one() as slot:
            assert await slot.enter(is_patient=False)
            clock.at_s += 0.004


async def taken(slots: Slots, number: int, stack: list[Slot]) -> None:
    """Take so many turns, as claims do."""
    for _ in range(number):
        assert not slots.are_taken
        await slots._turn()
        stack.append(Slot(slots))


async def test_nothing_is_claimed_ahead_of_what_nobody_knows_to_be_short() -> None:
    slots, mine = Slots(2), list[Slot]()
    await taken(slots, 2, mine)
    assert slots.are_taken and not await has_turn(slots)
    for slot in mine:
        assert await slot.enter(is_patient=False)
    assert not await has_turn(slots), "both are in cells, for as long as they like"
    mine[0].is_leaving()
    assert await has_turn(slots), "one has its verdict, and its cell is about to be free"


async def test_jobs_are_claimed_ahead_of_cells_while_attempts_are_short() -> None:
    clock = Clock()
    slots, mine = Slots(2, clock=clock), list[Slot]()
    await run_short(slots, 20, clock)
    await taken(slots, 2, mine)
    assert [await slot.enter(is_patient=False) for slot in mine] == [True, True]
    await taken(slots, 4, mine)
    assert not await has_turn(slots), "twice as many as cells, and no more"
    entering = asyncio.ensure_future(mine[2].enter(is_patient=False))
    await asyncio.sleep(0.01)
    assert not entering.done(), "no cell is free"
    mine[0].is_leaving()
    await asyncio.sleep(0.01)
    assert not entering.done(), "what runs there is not dead yet"
    mine[0].give_back()
    assert await entering


async def test_what_stays_too_long_has_nothing_claimed_ahead_of_it() -> None:
    clock = Clock()
    slots, mine = Slots(2, clock=clock), list[Slot]()
    await run_short(slots, 20, clock)
    await taken(slots, 2, mine)
    for slot in mine:
        await slot.enter(is_patient=False)
    assert await has_turn(slots)
    clock.at_s += 1
    assert not await has_turn(slots), "neither is about to leave"
    mine[1].give_back()
    assert not slots.are_taken


async def test_who_is_claimed_ahead_of_a_long_run_does_not_wait_for_it() -> None:
    clock = Clock()
    slots, mine = Slots(1, free_within_s=0.05, clock=clock), list[Slot]()
    await run_short(slots, 20, clock)
    await taken(slots, 1, mine)
    await mine[0].enter(is_patient=False)
    await taken(slots, 2, mine)
    patient = asyncio.ensure_future(mine[2].enter(is_patient=True))
    assert not await mine[1].enter(is_patient=False)
    mine[1].give_back()
    assert not await has_turn(slots), "runs are long now"
    mine[0].give_back()
    assert await patient
    mine[2].give_back()
    assert await has_turn(slots)


async def test_it_takes_many_short_ones_after_a_long_one() -> None:
    clock = Clock()
    slots = Slots(1, clock=clock)
    await run_short(slots, 20, clock)
    async with slots.one() as slot:
        await slot.enter(is_patient=False)
        clock.at_s += 60
    mine = list[Slot]()
    await taken(slots, 1, mine)
    await mine[0].enter(is_patient=False)
    assert not await has_turn(slots)
    mine[0].give_back()
    await run_short(slots, 30, clock)
    await taken(slots, 2, mine)


@pytest.mark.parametrize("seed", range(20))
async def test_in_any_order_there_are_never_more_in_cells_than_slots_and_none_is_lost(
    seed: int,
) -> None:
    chance = random.Random(seed)
    number = chance.choice([1, 2, 3])
    slots, within = Slots(number, free_within_s=0.01), [0]

    async def attempt() -> None:
        async with slots.one() as slot:
            await asyncio.sleep(chance.choice([0, 0.001]))
            if chance.random() < 0.1:
                return  # there was nothing to claim
            if not await slot.enter(is_patient=chance.random() < 0.3):
                return
            within[0] += 1
            assert within[0] <= number
            try:
                await asyncio.sleep(chance.choice([0, 0.001, 0.002, 0.08]))
            finally:
                within[0] -= 1
            if chance.random() < 0.7:
                slot.is_leaving()
                await asyncio.sleep(0)
            slot.give_back()
            await asyncio.sleep(chance.choice([0, 0.001]))

    tasks = [asyncio.create_task(attempt()) for _ in range(60)]
    for task in tasks:
        if chance.random() < 0.2:
            asyncio.get_running_loop().call_later(chance.random() * 0.2, task.cancel)
    ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
    assert all(one is None or isinstance(one, asyncio.CancelledError) for one in ended), ended
    assert slots._ahead == 0 and not slots._staying and not slots._waiting
    assert slots._cells._value == number
