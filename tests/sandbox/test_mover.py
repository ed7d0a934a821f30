"""Moves into cgroups: in order, told of when they fail, and with the way kept open between them."""

import asyncio
from dataclasses import dataclass, field

import pytest

from sandbox.cgroup import Counted
from sandbox.mover import Mover


@dataclass
class Noted:
    """A leaf that notes who was moved; `refused` are those that the kernel would not move."""

    refused: frozenset[int] = frozenset()
    entered: list[int] = field(default_factory=list)
    stayed: list[int] = field(default_factory=list)

    def enter(self, pid: int) -> None:
        if pid in self.refused:
            raise ProcessLookupError(pid)
        self.entered.append(pid)

    def stay(self, pid: int) -> None:
        self.stayed.append(pid)

    def holds(self, pid: int) -> bool:
        return pid in self.entered

    def count(self) -> Counted:
        return Counted()

    def kill(self) -> None: ...

    def remove(self) -> None: ...


@pytest.fixture
def mover():
    made = Mover()
    yield made
    made.close()


async def test_moves_are_made_in_turn_and_a_refusal_is_told(mover):
    leaf = Noted(refused=frozenset({2}))
    moves = [mover.move(leaf, pid) for pid in (1, 2, 3)]
    done = await asyncio.gather(*moves, return_exceptions=True)
    assert leaf.entered == [1, 3]
    assert [type(one) for one in done] == [type(None), ProcessLookupError, type(None)]


async def test_between_moves_only_settled_processes_are_touched_and_only_for_a_moment(mover):
    leaf, home = Noted(), Noted()
    mover.settled[7] = home
    while not home.stayed:
        await mover.move(leaf, 1)
        await asyncio.sleep(0.005)
    mover.settled.clear()
    await mover.move(leaf, 2)
    stayed = len(home.stayed)
    await asyncio.sleep(0.05)
    assert set(home.stayed) == {7} and len(home.stayed) <= stayed + 1
    assert leaf.stayed == []


async def test_a_single_move_is_followed_by_nothing(mover):
    leaf, home = Noted(), Noted()
    mover.settled[7] = home
    await mover.move(leaf, 1)
    await asyncio.sleep(0.05)
    assert (leaf.entered, home.stayed) == ([1], [])
