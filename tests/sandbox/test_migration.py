"""Moves into cgroups: in order, told of when they fail, and with the way kept open between them."""

import asyncio
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import pytest

from sandbox.cgroups import v1
from sandbox.cgroups.leaf import Counted
from sandbox.cgroups.migration import Migrator
from sandbox.limits import Limits


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


@dataclass
class Clock:
    """A clock that stands still; what is slow moves it."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Slow(Noted):
    """A leaf that the kernel lets wait before it moves anybody in."""

    clock: Clock = field(default_factory=Clock)

    def enter(self, pid: int) -> None:
        super().enter(pid)
        self.clock.now_s += 0.02


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def migrator(clock):
    made = Migrator(clock=clock)
    yield made
    made.close()


async def test_moves_are_made_in_turn_and_a_refusal_is_told(migrator):
    leaf = Noted(refused=frozenset({2}))
    moves = [migrator.move(leaf, pid) for pid in (1, 2, 3)]
    done = await asyncio.gather(*moves, return_exceptions=True)
    assert leaf.entered == [1, 3]
    assert [type(one) for one in done] == [type(None), ProcessLookupError, type(None)]


async def test_the_first_move_and_one_after_a_pause_do_not_keep_the_event_loop(migrator, clock):
    leaf = Noted()
    for pid in (1, 2):
        moved = migrator.move(leaf, pid)
        assert not moved.done()
        await moved
        clock.now_s += 1


async def test_a_move_close_after_another_is_made_at_once_refused_or_not(migrator):
    leaf = Noted(refused=frozenset({3}))
    await migrator.move(leaf, 1)
    moved, refused = migrator.move(leaf, 2), migrator.move(leaf, 3)
    assert leaf.entered == [1, 2] and moved.done()
    assert isinstance(refused.exception(), ProcessLookupError)


async def test_where_a_move_at_once_waited_the_next_ones_are_left_to_the_thread(migrator, clock):
    slow, leaf = Slow(clock=clock), Noted()
    await migrator.move(leaf, 1)
    assert migrator.move(slow, 2).done()
    moved = migrator.move(leaf, 3)
    assert not moved.done()
    await moved
    clock.now_s += 1.1
    await migrator.move(leaf, 4)
    assert migrator.move(leaf, 5).done()


async def test_between_moves_only_settled_processes_are_touched_and_only_for_a_moment(
    migrator, clock
):
    leaf, home = Noted(), Noted()
    migrator.hold(7, home)
    await migrator.move(leaf, 1)
    while not home.stayed:
        await migrator.move(leaf, 2)
        clock.now_s += 0.001
        await asyncio.sleep(0.002)
    clock.now_s += 1
    await asyncio.sleep(0.005)
    stayed = len(home.stayed)
    clock.now_s += 0.001
    await asyncio.sleep(0.02)
    assert (set(home.stayed), len(home.stayed)) == ({7}, stayed)
    assert leaf.stayed == []


async def test_a_single_move_is_followed_by_nothing(migrator, clock):
    leaf, home = Noted(), Noted()
    migrator.hold(7, home)
    await migrator.move(leaf, 1)
    clock.now_s += 0.001
    await asyncio.sleep(0.02)
    assert (leaf.entered, home.stayed) == ([1], [])


def test_who_starts_a_cell_in_its_cgroup_is_none_of_its_processes() -> None:
    """On a loaded machine it is there still when bubblewrap forks for the second time."""
    try:
        hierarchy = v1.Separate(f"fumehood-{os.getpid()}-births")
    except OSError as fault:
        pytest.skip(f"no cgroup v1 of ours: {fault}")
    try:
        leaf = hierarchy.leaf("leaf", Limits(processes=1))
        three_at_a_time = ["sh", "-c", "sh -c 'sleep 0.1; true'; true"]
        start = partial(subprocess.run, three_at_a_time, capture_output=True, text=True)
        with ThreadPoolExecutor(1) as threads:
            done = threads.submit(leaf.bear, start).result()
        assert (done.returncode, done.stderr) == (0, "")
        assert not leaf.holds(os.getpid())
        leaf.remove()
    finally:
        hierarchy.remove()
