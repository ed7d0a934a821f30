"""Schedules: one job for each tick, whoever looks and whatever was missed, as long as they may."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection, select

from runtime.jobs.orders.quotas import Quotas
from runtime.jobs.orders.submission import Submissions
from runtime.jobs.schedules import Schedules
from runtime.store.databases.store import Store
from runtime.store.jobs import jobs as job_store
from runtime.store.schema import tables
from runtime.store.when import schedules as schedule_store
from runtime.values.around.retention import RetentionSettings
from runtime.values.ids import new_id
from runtime.values.records import Activation, Job, RequestContext
from runtime.values.when.schedules import Schedule
from runtime.values.when.ticks import Missed, Outcome, Overlap

from ..conftest import NOON, Server, running, zipped


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Sent:
    """A dispatch that notes what it was told."""

    jobs: list[str] = field(default_factory=list[str])

    async def attempt(self, job: Job) -> None:
        self.jobs.append(job.id)


class Nobody:
    """Nobody who wants to be told of an end."""

    def is_awaited(self, *, owner: str, package: str) -> bool:
        return False


def worker(store: Store, clock: Clock, *, queue_limit: int = 1000) -> Schedules:
    submissions = Submissions(
        store=store,
        dispatch=cast(Any, Sent()),
        notifier=cast(Any, None),
        cancellations=cast(Any, None),
        clock=clock,
        queue_limit=queue_limit,
        judges=cast(Any, None),
        quotas=Quotas(store=store, settings=RetentionSettings()),
        deliveries=cast(Any, Nobody()),
    )
    return Schedules(store=store, submissions=submissions, clock=clock, most=10)


async def keep(store: Store, **given: Any) -> Schedule:
    fields: dict[str, Any] = {
        "id": new_id(),
        "name": "hourly",
        "owner": "local:ana",
        "package": "hello",
        "version": None,
        "parameters": {"n": 1},
        "inputs": (),
        "request": RequestContext(principal="local:ana"),
        "cron": "",
        "every_s": 3600,
        "zone": "UTC",
        "missed": Missed.SKIP,
        "overlap": Overlap.ALLOW,
        "created_at": NOON,
        "next_at": NOON + timedelta(hours=1),
    }
    return await store.run(schedule_store.add, schedule=Schedule(**fields | given), most=10)


def made(connection: Connection, *, schedule_id: str) -> list[Job]:
    ids = select(tables.jobs.c.id).where(tables.jobs.c.schedule_id == schedule_id)
    found = connection.execute(ids.order_by(tables.jobs.c.id)).scalars().all()
    return [job_store.get(connection, job_id=one) for one in found]


async def test_of_any_number_of_workers_one_runs_each_tick(
    store: Store, activation: Activation
) -> None:
    schedule = await keep(store)
    clock = Clock()
    workers = [worker(store, clock) for _ in range(8)]
    for hour in range(1, 6):
        clock.now = NOON + timedelta(hours=hour, seconds=1)
        await asyncio.gather(*(one.run_due() for one in workers))
    jobs = await store.read(made, schedule_id=schedule.id)
    assert len(jobs) == 5
    ticks = await store.read(schedule_store.list_ticks, schedule_id=schedule.id)
    assert [tick.at for tick in ticks] == [NOON + timedelta(hours=h) for h in range(5, 0, -1)]
    assert {tick.job_id for tick in ticks} == {job.id for job in jobs}
    assert {job.request.principal for job in jobs} == {"local:ana"}


@pytest.mark.parametrize(("missed", "number"), [("skip", 0), ("once", 1), ("all", 5)])
async def test_what_was_missed_is_left_out_run_once_or_made_good(
    missed: str, number: int, store: Store, activation: Activation
) -> None:
    schedule = await keep(store, missed=Missed(missed))
    clock = Clock(NOON + timedelta(hours=5, minutes=30))
    await worker(store, clock).run_due()
    assert len(await store.read(made, schedule_id=schedule.id)) == number
    ticks = await store.read(schedule_store.list_ticks, schedule_id=schedule.id)
    outcomes = {tick.outcome for tick in ticks}
    assert outcomes == ({Outcome.RUN} if number else {Outcome.MISSED})
    later = await store.read(schedule_store.get, schedule_id=schedule.id)
    assert later.next_at == NOON + timedelta(hours=6)


@pytest.mark.parametrize(
    ("overlap", "states"),
    [("allow", ["queued", "queued"]), ("skip", ["queued"]), ("replace", ["cancelled", "queued"])],
)
async def test_the_rule_for_a_tick_while_the_last_job_goes_on(
    overlap: str, states: list[str], store: Store, activation: Activation
) -> None:
    schedule = await keep(store, overlap=Overlap(overlap))
    clock = Clock()
    for hour in (1, 2):
        clock.now = NOON + timedelta(hours=hour)
        await worker(store, clock).run_due()
    assert [job.state for job in await store.read(made, schedule_id=schedule.id)] == states


async def test_a_tick_that_finds_no_room_waits_for_it_and_is_run_once(
    store: Store, activation: Activation
) -> None:
    schedule = await keep(store)
    clock = Clock(NOON + timedelta(hours=1, seconds=1))
    await worker(store, clock, queue_limit=0).run_due()
    assert await store.read(made, schedule_id=schedule.id) == []
    clock.now += timedelta(seconds=30)
    for _ in range(2):
        await worker(store, clock).run_due()
    assert len(await store.read(made, schedule_id=schedule.id)) == 1


async def test_a_package_that_is_not_active_is_told_and_the_schedule_goes_on(
    store: Store, activation: Activation
) -> None:
    schedule = await keep(store, version="9.9")
    clock = Clock(NOON + timedelta(hours=1))
    await worker(store, clock).run_due()
    (tick,) = await store.read(schedule_store.list_ticks, schedule_id=schedule.id)
    assert tick.outcome is Outcome.REFUSED and "9.9" in tick.told
    later = await store.read(schedule_store.get, schedule_id=schedule.id)
    assert later.next_at == NOON + timedelta(hours=2)


async def test_one_look_into_an_index_says_that_nothing_is_due(in_sqlite: Store) -> None:
    def plan(connection: Connection) -> str:
        query = "EXPLAIN QUERY PLAN SELECT id FROM schedules WHERE next_at <= '2026' LIMIT 1"
        return str(connection.exec_driver_sql(query).all())

    assert "USING INDEX ix_schedules_next_at" in await in_sqlite.read(plan) or (
        "USING COVERING INDEX ix_schedules_next_at" in await in_sqlite.read(plan)
    )


ORDER = {"name": "often", "package": "counts-words", "every_s": 1}


def test_a_schedule_from_its_first_tick_to_its_end(counting: Server) -> None:
    made = counting.http.post("/v1/schedules", json=ORDER | {"overlap": "allow"})
    assert made.status_code == 201, made.text
    place = made.headers["location"]
    assert len(made.json()["next_ticks"]) == 5
    seen = counting.until(place, lambda one: len([t for t in one["ticks"] if t["job_id"]]) >= 2)
    job = counting.ended(seen["ticks"][-1]["job_id"])
    assert (job["state"], job["schedule_id"]) == ("succeeded", seen["id"])
    paused = counting.http.post(f"{place}/pause", json={"reason": "the mill is down"})
    assert paused.json()["paused"]["reason"] == "the mill is down"
    assert paused.json()["next_ticks"] == []
    before = len(counting.http.get(place).json()["ticks"])
    time.sleep(2.5)
    assert len(counting.http.get(place).json()["ticks"]) <= before + 1  # one was on its way
    assert counting.http.post(f"{place}/resume").json()["paused"] is None
    assert counting.http.delete(place).status_code == 204
    assert counting.http.get(place).status_code == 404
    actions = [one["action"] for one in counting.http.get("/v1/audit").json()["items"]]
    assert actions[:4] == ["schedule.remove", "resume", "pause", "schedule.create"]


def test_inputs_are_kept_with_the_schedule(counting: Server) -> None:
    sent = {"schedule": json.dumps(ORDER | {"name": "with-inputs"})}
    files = [("input", ("a.txt", b"one two three"))]
    made = counting.http.post("/v1/schedules", data=sent, files=files)
    assert made.status_code == 201, made.text
    place = made.headers["location"]
    assert [one["name"] for one in made.json()["inputs"]] == ["a.txt"]
    seen = counting.until(place, lambda one: any(tick["job_id"] for tick in one["ticks"]))
    counting.http.delete(place)
    job = counting.ended(seen["last_job_id"])
    artifact = counting.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert artifact["inputs"][0]["name"] == "a.txt" and job["state"] == "succeeded"


def test_every_fault_of_a_schedule_is_told_at_once(counting: Server) -> None:
    wrong = {
        "name": "wrong",
        "package": "counts-words",
        "cron": "0 0 30 2 *",
        "retry": {"attempts": 50},
    }
    answer = counting.http.post("/v1/schedules", json=wrong)
    assert answer.status_code == 422
    problems = answer.json()["problems"]
    assert [one["code"] for one in problems] == ["bad-cron", "over-ceiling"]
    assert "no such day" in problems[0]["what"]
    twice = {"name": "twice", "package": "counts-words", "every_s": 86_400}
    assert counting.http.post("/v1/schedules", json=twice).status_code == 201
    again = counting.http.post("/v1/schedules", json=twice)
    assert again.status_code == 409 and "schedule remove twice" in again.text


def test_a_client_sees_and_changes_its_own_schedules_only(counting: Server) -> None:
    with counting.as_(counting.token_for("client")) as ana:
        made = ana.post("/v1/schedules", json=ORDER | {"name": "hers", "every_s": 86_400})
        place = made.headers["location"]
        with counting.as_(counting.token_for("client")) as bob:
            assert bob.get(place).status_code == 404
            assert bob.delete(place).status_code == 404
            assert bob.post(f"{place}/pause", json={"reason": "x"}).status_code == 404
            listed = bob.get("/v1/schedules").json()["items"]
            assert place.rpartition("/")[2] not in [one["id"] for one in listed]
        assert ana.get(place).status_code == 200
        assert ana.delete(place).status_code == 204


def test_the_schedules_of_a_token_end_with_it(counting: Server) -> None:
    name = f"t-{new_id()}"
    order = {"name": name, "scopes": ["client"]}
    token = counting.http.post("/v1/tokens", json=order).json()["token"]
    with counting.as_(token) as ana:
        place = ana.post("/v1/schedules", json=ORDER).headers["location"]
    counting.until(place, lambda one: any(tick["job_id"] for tick in one["ticks"]))
    counting.http.delete(f"/v1/tokens/{name}")
    seen = counting.until(place, lambda one: one["ticks"][0]["outcome"] == "refused")
    assert "was revoked" in seen["ticks"][0]["told"]
    counting.http.delete(place)


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[tuple[Path, str, set[str]]]:
    """A home whose appliance was killed while a schedule ran each second."""
    with running(tmp_path / "home") as server:
        assert server.activate(zipped("counts-words"))["state"] == "succeeded"
        order = ORDER | {"overlap": "allow", "missed": "all"}
        place = server.http.post("/v1/schedules", json=order).headers["location"]
        seen = server.until(place, lambda one: len(one["ticks"]) >= 2)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    yield tmp_path / "home", place, {tick["at"] for tick in seen["ticks"]}


def test_no_tick_is_lost_or_run_twice_when_the_appliance_is_killed(
    killed: tuple[Path, str, set[str]],
) -> None:
    home, place, before = killed
    time.sleep(2)
    with running(home) as server:
        seen = server.until(
            place, lambda one: len({tick["at"] for tick in one["ticks"]} - before) >= 5
        )
        ticks = seen["ticks"]
        assert len({tick["job_id"] for tick in ticks}) == len(ticks)
        times = sorted(datetime.fromisoformat(tick["at"]) for tick in ticks)
        assert {later - sooner for sooner, later in pairwise(times)} == {timedelta(seconds=1)}
        server.http.delete(place)
