"""Any order of steps: an accepted job ends once, by who holds it, and its end is told once.

A schedule is a number (`support.simulation.schedule`); `scripts/simulate --seed N` replays it. The
functions of the store take some 40 ms for one (100 us a statement), so 100,000 would take more than
an hour. Those run on a model of the functions, in 0.6 ms each; hundreds run on both side by side,
which have to tell and to show the same at each step. The store is as good as the model is so far.
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection
from support.simulation.both import Both
from support.simulation.bugs import ALL, Plant, cancel_forgets_who_waits
from support.simulation.invariants import PAIRS, Broken
from support.simulation.model import Model
from support.simulation.of_store import OfStore, memory
from support.simulation.schedule import STEPS, WORKERS, Schedule

SCHEDULES = 100_000
PARTS = 20
BESIDE = 600
BESIDE_PARTS = 4
FOUND_WITHIN = 3_000


@pytest.fixture(scope="module")
def database() -> Iterator[Connection]:
    with memory() as connection:
        yield connection


def test_a_schedule_has_steps_and_actors_enough() -> None:
    actors = WORKERS + len(("clients", "reconciler", "timekeeper", "teller"))
    assert STEPS >= 30 and actors >= 3


@pytest.mark.parametrize("part", range(PARTS))
def test_every_schedule_comes_to_rest_and_every_transition_is_reached(part: int) -> None:
    changes = set[tuple[str, str]]()
    for seed in range(part, SCHEDULES, PARTS):
        schedule = Schedule(seed, Model())
        schedule.run()
        changes |= schedule.changes
    assert changes == PAIRS


@pytest.mark.parametrize("part", range(BESIDE_PARTS))
def test_the_store_does_what_the_model_does(part: int, database: Connection) -> None:
    changes = set[tuple[str, str]]()
    for seed in range(part, BESIDE, BESIDE_PARTS):
        schedule = Schedule(seed, Both(OfStore(database)))
        schedule.run()
        changes |= schedule.changes
    assert changes == PAIRS


@pytest.mark.parametrize("seed", [20271])
def test_a_schedule_that_failed_once_comes_to_rest(seed: int, database: Connection) -> None:
    """20271: who closed the question of an attempt closed that of a later attempt as well."""
    Schedule(seed, Both(OfStore(database))).run()


@pytest.mark.parametrize("plant", ALL, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(
    plant: Plant, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(Broken):
        for seed in range(FOUND_WITHIN):
            Schedule(seed, OfStore(database)).run()


def test_the_number_of_a_schedule_that_failed_shows_it_again(
    database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel_forgets_who_waits(monkeypatch)
    seed = next(seed for seed in range(FOUND_WITHIN) if _broken(seed, database))
    told = _broken(seed, database)
    assert f"scripts/simulate --seed {seed}" in told
    assert told == _broken(seed, database)


def _broken(seed: int, database: Connection) -> str:
    try:
        Schedule(seed, OfStore(database)).run()
    except Broken as broken:
        return str(broken)
    return ""
