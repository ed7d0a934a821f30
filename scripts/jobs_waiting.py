"""What grows with the jobs that wait, and with schedules: taking the next one, and idling."""

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from figures import Figure, against, alone
from wire import Client, Served, served

from runtime.store.databases.sqlite import sqlite_engine
from runtime.store.jobs import claims
from runtime.store.jobs import jobs as job_store
from runtime.store.schema.migrate import migrate
from runtime.values.ids import new_id
from runtime.values.records import Activation, Job, RequestContext, Worker
from runtime.values.states import State
from runtime.values.when.line import Ability

FEW, MANY, PACKAGES = 10, 100_000, 1000
ROUNDS = 300
SCHEDULES, TICKING, SELDOM_S = 1000, 20, 100_000
"""Of a thousand schedules twenty tick every twenty seconds: one tick a second in all."""
WAITING, AT_ONCE = 10_000, 1000
NDJSON = {"Content-Type": "application/x-ndjson"}
IDLE_S = 20.0
STEP = 64
COLUMNS = (
    "id, package, version, digest, activation_id, platform, state, attempt, parameters, inputs, "
    "request, owner, submitted_at, queued_at, due_at, turn, claimed_turn"
)


async def dispatch() -> list[Figure]:
    """Return what it takes to place a job and to take the next one, beside many that wait."""
    few, many = [await asyncio.to_thread(_dispatched_ms, count) for count in (FEW, MANY)]
    baseline = f"beside {FEW}"
    return [against("dispatch_100k", many, "ms", baseline=baseline, than=few, most=1.5)]


def _dispatched_ms(waiting: int) -> float:
    """Return the median of placing one job and claiming another, undone each time."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        database = Path(folder) / "fumehood.db"
        engine = sqlite_engine(database)
        migrate(engine, lock_file=Path(folder) / "lock")
        _fill(database, rows=_in_line(waiting))
        took: list[float] = []
        at = datetime.now(UTC)
        activation = Activation(
            id="a",
            package="p1",
            version="1",
            digest="sha256:0",
            state=State.SUCCEEDED,
            who="",
            reason="",
            requested_at=at,
        )
        worker = Worker(id="w", host="h", version="1", slots=1, started_at=at, seen_at=at)
        with engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
            for _ in range(ROUNDS):
                job = _job(activation, at=at)
                started = time.perf_counter()
                job_store.submit(connection, job=job, queue_limit=10 * MANY)
                claims.claim_next(
                    connection,
                    ability=Ability(platform=""),
                    token=new_id(),
                    worker=worker,
                    at=at,
                    known={"a": activation},
                )
                took.append(time.perf_counter() - started)
                connection.rollback()
        engine.dispose()
        return statistics.median(took) * 1000


def _job(activation: Activation, *, at: datetime) -> Job:
    return Job(
        id=new_id(),
        package="p1",
        version="1",
        digest=activation.digest,
        activation_id=activation.id,
        platform="",
        state=State.QUEUED,
        attempt=1,
        parameters={},
        inputs=(),
        request=RequestContext(principal="token:t1"),
        submitted_at=at,
        queued_at=at,
        due_at=at,
    )


def _fill(database: Path, *, rows: Iterator[tuple[object, ...]]) -> None:
    """Put jobs that wait into the store of a stopped appliance."""
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        marks = ", ".join("?" * 17)
        connection.executemany(f"INSERT INTO jobs ({COLUMNS}) VALUES ({marks})", rows)
        connection.execute(
            "UPDATE counters SET value = (SELECT count(*) FROM jobs WHERE 'jobs-' || state = name) "
            "WHERE name LIKE 'jobs-%'"
        )
        connection.execute(
            "UPDATE counters SET value = (SELECT count(*) FROM jobs WHERE "
            "state = 'queued') WHERE name = 'queued'"
        )
    connection.close()


def _in_line(
    count: int, *, due: str = "2026-01-01 00:00:00.000000"
) -> Iterator[tuple[object, ...]]:
    at = "2026-01-01 00:00:00.000000"
    for number in range(count):
        turn = STEP * (number // PACKAGES + 1)
        owner = f"token:t{number % 7}"
        yield (
            *(f"0190-{number:012d}", f"p{number % PACKAGES}", "1", "sha256:0", "a", ""),
            *("queued", 1, "{}", "[]", json.dumps({"principal": owner}), owner),
            *(at, at, due, turn, turn),
        )


async def idle(bundle: bytes) -> list[Figure]:
    """Return what an appliance takes that has a thousand schedules, and ten thousand that wait.

    The schedules tick once a second in all; dispatch is paused, so what they order waits too.
    """
    with served(queue_limit=2 * MANY, dispatch__schedules_most=2 * SCHEDULES) as appliance:
        async with Client(appliance.socket) as client:
            await client.activate(bundle)
            await client.json("POST", "/v1/pauses", {"subject": "all", "reason": "to be measured"})
            for number in range(SCHEDULES):
                every_s = TICKING if number < TICKING else SELDOM_S
                order = {"name": f"s{number}", "package": "hello", "every_s": every_s}
                await client.json("POST", "/v1/schedules", order)
            lines = "\n".join([json.dumps({"package": "hello"})] * AT_ONCE).encode()
            for _ in range(WAITING // AT_ONCE):
                status, content = await client.ask("POST", "/v1/submissions", lines, NDJSON)
                if status >= 300:
                    raise RuntimeError(content.decode())
            await asyncio.sleep(2)
            return [alone("idle_1000_schedules", await _share(appliance), "cores", most=0.05)]


async def _share(appliance: Served) -> float:
    before = appliance.cpu_s()
    await asyncio.sleep(IDLE_S)
    return (appliance.cpu_s() - before) / IDLE_S
