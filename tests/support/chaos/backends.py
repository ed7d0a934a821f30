"""What chaos runs on: an appliance alone, or one of a cluster with its servers, and what can happen."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from support.chaos import faults
from support.chaos.clocks import Clock
from support.chaos.faults import Fault, Faults
from support.chaos.processes import Process, started
from support.postgres import Postgres, postgres_server
from support.redis import Redis, redis_server
from support.s3 import S3, s3_server

LOST_AFTER_S = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Where chaos happens, with which versions, and whether the disk there may be filled."""

    folder: Path
    programs: tuple[Path, ...]
    is_small_disk: bool
    clock: Clock

    def process(self, *, home: str, settings: Mapping[str, str], does: str = "up") -> Process:
        """Return a process of ours in a home of its own; all go by one clock, which is not ours."""
        return Process(
            does="worker" if does == "worker" else "up",
            home=self.folder / home,
            settings=settings,
            clock=self.clock,
            programs=self.programs,
        )

    @property
    def disk(self) -> Path | None:
        """Return the disk that may be filled."""
        return self.folder if self.is_small_disk else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An appliance at work, what can go wrong around it, and the logs of all."""

    appliance: Process
    faults: Faults
    logs: Mapping[str, Path] = field(default_factory=dict[str, Path])


@contextmanager
def embedded(wanted: Wanted) -> Iterator[Scene]:
    """Offer one process with its database and its queue inside."""
    with started(wanted.process(home="home", settings={})) as appliance:
        yield Scene(
            appliance=appliance,
            faults=faults.of_processes(appliance, disk=wanted.disk),
            logs={"appliance.log": appliance.log},
        )


@contextmanager
def full(wanted: Wanted) -> Iterator[Scene]:
    """Offer an appliance and a worker elsewhere, with a Redis, a PostgreSQL and a bucket."""
    with ExitStack() as stack:
        database = stack.enter_context(postgres_server())
        queue = stack.enter_context(redis_server())
        bucket = stack.enter_context(s3_server())
        os.environ.update(bucket.environ)  # the appliance learns of it as every program does
        url = database.new_database()
        settings = {
            "database_url": url,
            "docket_url": queue.url,
            "blobs_url": "s3://bucket/chaos",
            "worker_lost_after_s": str(LOST_AFTER_S),
        }
        appliance = stack.enter_context(started(wanted.process(home="home", settings=settings)))
        elsewhere = wanted.process(home="elsewhere", settings=settings, does="worker")
        worker = stack.enter_context(started(elsewhere))
        yield Scene(
            appliance=appliance,
            faults={
                **faults.of_processes(appliance, disk=wanted.disk),
                **_of_worker(worker),
                **_of_servers(database, queue, bucket, url=url),
            },
            logs={
                "appliance.log": appliance.log,
                "worker.log": worker.log,
                "postgres.log": database.folder / "log",
                "redis.log": queue.folder / "log",
            },
        )


def _of_worker(worker: Process) -> Faults:
    """Return what can happen to a worker elsewhere; it may stand still until it counts as dead."""
    found: dict[str, tuple[Fault, float]] = {
        "worker-killed": (faults.killing(worker), 0.3),
        "worker-paused": (faults.pausing(worker, most_s=2.0 * LOST_AFTER_S), 0.1),
    }
    if len(worker.programs) > 1:
        found["worker-of-another-version"] = (faults.replacing(worker), 0.15)
    return found


def _of_servers(database: Postgres, queue: Redis, bucket: S3, *, url: str) -> Faults:
    def forget(_: Random) -> int:
        queue.ask("FLUSHALL")
        return 0

    def hang_up(_: Random) -> int:
        """End every connection of ours, as a failover or a pooler does."""
        ours = "FROM pg_stat_activity WHERE application_name LIKE 'fumehood%'"
        database.sql(url, f"SELECT pg_terminate_backend(pid) {ours}")
        return 0

    def be_away(chance: Random) -> int:
        bucket.be_away()
        time.sleep(chance.uniform(0.2, 3))
        bucket.be_back()
        return 0

    return {
        "queue-forgot": (forget, 0.1),
        "queue-killed": (_restarting(queue.kill, queue.start), 0.1),
        "database-restarted": (_restarting(database.kill, database.start), 0.1),
        "database-hung-up": (hang_up, 0.1),
        "bucket-away": (be_away, 0.1),
    }


def _restarting(kill: Callable[[], None], start: Callable[[], None]) -> Fault:
    def restart(chance: Random) -> int:
        kill()
        time.sleep(chance.uniform(0.1, 2))
        start()
        return 1

    return restart


type Backend = Callable[[Wanted], AbstractContextManager[Scene]]
BACKENDS: Mapping[str, Backend] = {"embedded": embedded, "full": full}
