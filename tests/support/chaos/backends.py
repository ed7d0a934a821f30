"""What an appliance under chaos keeps its things in: the settings, what runs beside it meanwhile,
and what else can go wrong then.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from support.chaos.faults import FUMEHOOD, SETTINGS, Fault, Victim
from support.postgres import Postgres, postgres_server
from support.redis import Redis, redis_server
from support.s3 import S3, s3_server

LOST_AFTER_S = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The settings of an appliance, and faults beside its own, with how often each happens."""

    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    faults: Mapping[str, tuple[Fault, float]] = field(
        default_factory=dict[str, tuple[Fault, float]]
    )
    logs: Mapping[str, Path] = field(default_factory=dict[str, Path])


@contextmanager
def embedded(folder: Path) -> Iterator[Setting]:
    """Offer one process with its database and its queue inside."""
    yield Setting()


@dataclass(slots=True, kw_only=True)
class Elsewhere:
    """A worker in a home of its own, started again each time it is killed."""

    home: Path
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it takes jobs when it is ready."""
        environ = {n: value for n, value in os.environ.items() if "FUMEHOOD_" not in n}
        chosen = SETTINGS | dict(self.settings)
        environ |= {f"FUMEHOOD_{name.upper()}": value for name, value in chosen.items()}
        with self.home.with_name("elsewhere.log").open("ab") as log:
            self.process = subprocess.Popen(
                [FUMEHOOD, "worker", "--home", self.home], env=environ, stdout=log, stderr=log
            )

    def kill(self, _: Victim, __: Random) -> int:
        """End it at once, and start it again."""
        self.stop()
        self.start()
        return 1

    def pause(self, _: Victim, chance: Random) -> int:
        """Let it stand still until others count it as dead, and wake."""
        if self.process:
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0.5, 2.0 * LOST_AFTER_S))
            self.process.send_signal(signal.SIGCONT)
        return 0

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.kill()
            self.process.wait()


@contextmanager
def full(folder: Path) -> Iterator[Setting]:
    """Offer an appliance and a worker elsewhere, with a Redis, a PostgreSQL and a bucket."""
    with ExitStack() as stack:
        database, queue = (
            stack.enter_context(postgres_server()),
            stack.enter_context(redis_server()),
        )
        bucket = stack.enter_context(s3_server())
        os.environ.update(bucket.environ)  # the appliance learns of it as every program does
        settings = {
            "database_url": database.new_database(),
            "docket_url": queue.url,
            "blobs_url": "s3://bucket/chaos",
            "worker_lost_after_s": str(LOST_AFTER_S),
        }
        worker = Elsewhere(home=folder / "elsewhere", settings=settings)
        worker.start()
        stack.callback(worker.stop)
        yield Setting(
            settings=settings,
            faults=_faults(database, queue, bucket, worker),
            logs={"postgres.log": database.folder / "log", "redis.log": queue.folder / "log"},
        )


def _faults(
    database: Postgres, queue: Redis, bucket: S3, worker: Elsewhere
) -> Mapping[str, tuple[Fault, float]]:
    def forget(_: Victim, __: Random) -> int:
        queue.ask("FLUSHALL")
        return 0

    def restart_queue(_: Victim, chance: Random) -> int:
        return _restarted(queue.kill, queue.start, chance)

    def restart_database(_: Victim, chance: Random) -> int:
        return _restarted(database.kill, database.start, chance)

    def bucket_away(_: Victim, chance: Random) -> int:
        bucket.be_away()
        time.sleep(chance.uniform(0.2, 3))
        bucket.be_back()
        return 0

    return {
        "worker-killed": (worker.kill, 0.3),
        "worker-paused": (worker.pause, 0.1),
        "queue-forgot": (forget, 0.1),
        "queue-restarted": (restart_queue, 0.1),
        "database-restarted": (restart_database, 0.1),
        "bucket-away": (bucket_away, 0.1),
    }


def _restarted(kill: Callable[[], None], start: Callable[[], None], chance: Random) -> int:
    kill()
    time.sleep(chance.uniform(0.1, 2))
    start()
    return 0


type Backend = Callable[[Path], AbstractContextManager[Setting]]
BACKENDS: Mapping[str, Backend] = {"embedded": embedded, "full": full}
