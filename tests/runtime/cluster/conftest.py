"""A cluster: an appliance and workers that have three addresses in common, and no folder."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.hosts import Host
from support.postgres import Postgres, name_in, postgres_server
from support.preloaded.starting import start
from support.redis import Redis, redis_server
from support.s3 import S3, s3_server

from ..conftest import PATIENCE_S, Server, running


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The three servers that a cluster has in common."""

    postgres: Postgres
    redis: Redis
    s3: S3
    database_url: str
    blobs_url: str = "s3://bucket/cluster"

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings with which a process is one of the cluster."""
        return {
            "database_url": self.database_url,
            "docket_url": self.redis.url,
            "blobs_url": self.blobs_url,
            "worker_lost_after_s": "4",
            "reconcile_interval_s": "1",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """A real `fumehood worker`."""

    home: Path
    process: subprocess.Popen[str]

    @property
    def log(self) -> str:
        """Return what it said on stderr."""
        return log_of(self.home).read_text()


@contextmanager
def places(*, on: Host | None = None) -> Iterator[Places]:
    """Start the three servers of a cluster, on a host of their own or on ours."""
    with ExitStack() as stack:
        if on is None:
            postgres = stack.enter_context(postgres_server())
            redis, s3 = stack.enter_context(redis_server()), stack.enter_context(s3_server())
        else:
            at, within = on.address, on.within
            postgres = stack.enter_context(postgres_server(listens_on=at, within=within))
            redis = stack.enter_context(redis_server(host=at, port=6379, within=within))
            s3 = stack.enter_context(s3_server(host=at, within=within))
        url = postgres.new_database()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in s3.environ.items():
                patch.setenv(name, value)
            yield Places(postgres=postgres, redis=redis, s3=s3, database_url=url)


def log_of(home: Path) -> Path:
    """Return where the log of a worker is."""
    return home.with_name(f"{home.name}.log")


@contextmanager
def working(
    home: Path, settings: Mapping[str, str], *, within: tuple[str, ...] = ()
) -> Iterator[Working]:
    """Offer a worker of our own; it is stopped afterwards. `within` is as for `running`."""
    environ = {name: value for name, value in os.environ.items() if "FUMEHOOD_" not in name}
    environ |= {f"FUMEHOOD_{name.upper()}": value for name, value in settings.items()}
    with log_of(home).open("a") as log:
        process = start(
            ["worker", "--json", "--home", home],
            environ=environ,
            within=within,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout and process.stdout.readline(), log_of(home).read_text()
        yield Working(home=home, process=process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE_S)
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """An appliance that serves, a worker elsewhere, and what they have in common."""

    places: Places
    server: Server
    worker: Working

    def worker_id(self, *, of: Working | Server) -> str:
        """Return the id of the one of them that has this process."""
        pid = str(of.process.pid)
        found = self.server.until(
            "/v1/workers", lambda page: any(pid in one["id"].split("-") for one in page["items"])
        )
        return next(one["id"] for one in found["items"] if pid in one["id"].split("-"))

    @contextmanager
    def all_work_elsewhere(self) -> Iterator[None]:
        """Let the appliance take no jobs meanwhile, so that the worker has to."""
        place = f"/v1/workers/{self.worker_id(of=self.server)}"
        self.worker_id(of=self.worker)
        assert self.server.http.post(f"{place}/drain").status_code == 200
        try:
            yield
        finally:
            assert self.server.http.post(f"{place}/resume").status_code == 200


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        shared = stack.enter_context(places())
        server = stack.enter_context(running(folder / "home", **shared.settings))
        worker = stack.enter_context(working(folder / "elsewhere", shared.settings))
        yield Cluster(places=shared, server=server, worker=worker)


@pytest.fixture
def others(cluster: Cluster) -> Iterator[Places]:
    """The places of another cluster, empty, at servers that nobody ends meanwhile."""
    at = cluster.places
    url = at.postgres.new_database()
    with redis_server() as redis:
        yield replace(at, redis=redis, database_url=url, blobs_url=f"s3://bucket/{name_in(url)}")
    at.postgres.drop(url)
