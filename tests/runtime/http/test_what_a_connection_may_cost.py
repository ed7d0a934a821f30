"""Who holds connections keeps nobody out; who sends slowly, or not as HTTP has it, is refused."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.world import open_folder

from runtime.http.connections.accept_loop import RESERVE, room_for
from runtime.http.connections.connection_table import ConnectionBounds, ConnectionTable

from ..conftest import PATIENCE_S, Server, running, zipped

HALF = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
def narrow() -> Iterator[Server]:
    """A server with room for few, and little patience."""
    with (
        open_folder() as world,
        running(
            world / "home",
            connections="48",
            connections_of_one="32",
            head_s="2",
            idle_s="2",
            is_real=True,  # its descriptors are counted
        ) as server,
    ):
        yield server


def connect(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def said(connection: socket.socket) -> bytes:
    """Return all that comes until the other side hangs up."""
    told = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(1 << 16):
            told += chunk
    return told


def ask(server: Server, request: bytes) -> bytes:
    with connect(server) as connection:
        connection.sendall(request)
        with contextlib.suppress(OSError):  # ENOTCONN where it was refused and is gone already
            connection.shutdown(socket.SHUT_WR)
        return said(connection)


@pytest.mark.parametrize("half", [HALF, b"", b"G", HALF + b"X: " + b"a" * 4096])
def test_half_sent_heads_keep_nobody_out(half: bytes, narrow: Server) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(narrow)) for _ in range(200)]
        for connection in held:
            with contextlib.suppress(ConnectionError):
                connection.sendall(half)
        for _ in range(20):
            with connect(narrow) as honest:
                honest.sendall(HALF + b"Connection: close\r\n\r\n")
                assert b"200 OK" in said(honest)[:40]
        sockets = len(list(Path(f"/proc/{narrow.process.pid}/fd").iterdir()))
        assert sockets < 48 + RESERVE
        answers = [said(connection) for connection in held]
    told = [answer for answer in answers if answer]
    assert told and all(b" 408 " in answer[:20] for answer in told)


@pytest.mark.parametrize("kind", ["raw", "form", "json"])
def test_a_body_that_drips_is_given_up_with_its_folder(kind: str, narrow: Server) -> None:
    types = {
        "raw": "application/zip",
        "form": "multipart/form-data; boundary=b",
        "json": "application/json",
    }
    head = (
        f"POST /v1/packages HTTP/1.1\r\nHost: localhost\r\nContent-Type: {types[kind]}\r\n"
        f"Authorization: Bearer {narrow.token}\r\n"
        "Content-Length: 1000000\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(narrow)) for _ in range(8)]
        for connection in held:
            connection.sendall(head.encode() + b"--b\r\n")
        for connection in held:
            assert b" 408 " in said(connection)[:20]
    deadline = time.monotonic() + PATIENCE_S
    while list(narrow.home.rglob("upload-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(narrow.home.rglob("upload-*")) == []


def test_an_idle_connection_is_closed(narrow: Server) -> None:
    with connect(narrow) as connection:
        connection.sendall(HALF + b"\r\n")
        assert b"200 OK" in said(connection)


REFUSED = {
    "a bare LF after the request line": b"GET /healthz HTTP/1.1\nHost: a\r\n\r\n",
    "a bare LF after a field": b"GET /healthz HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "a bare LF at the end": b"GET /healthz HTTP/1.1\r\nHost: a\r\n\n",
    "obs-fold": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    "obs-fold by a tab": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n",
    "length, then coding": b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding, then length": b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n",
    "a coding in HTTP/1.0": b"POST /v1/jobs HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding that nobody knows": b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\nX: a\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a long head": b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
    + b"X: %s\r\n" % (b"a" * 4000) * 300
    + b"\r\n",
    "many fields": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 500 + b"\r\n",
    "a bare LF in a chunk": b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
}
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED)
def test_what_two_readers_could_read_differently_is_refused(
    request_bytes: bytes, narrow: Server
) -> None:
    """RFC 9112, 2.2, 5.2, 6.1 and 6.3; and nothing after it is taken for a request."""
    told = ask(narrow, request_bytes + SMUGGLED)
    assert told[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 501"), told[:200]
    assert told.count(b"HTTP/1.1 ") == 1 and b"smuggled" not in told
    head, _, body = told.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head and json.loads(body)["problems"]


@pytest.mark.parametrize(
    "path", ["/healthz", "/v1/packages", "/", "/nowhere", "/static/nowhere", "/simple/"]
)
def test_head_is_answered_as_get_is(path: str, narrow: Server) -> None:
    got, headed = narrow.http.get(path), narrow.http.head(path)
    assert headed.status_code == got.status_code and headed.content == b""
    different = ("date", "x-request-id", "content-length", "ratelimit")
    assert {k: v for k, v in headed.headers.items() if k not in different} == {
        k: v for k, v in got.headers.items() if k not in different
    }


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "CONNECT", "PROPFIND"])
def test_a_method_that_there_is_not_has_one_answer(method: str, narrow: Server) -> None:
    told = ask(
        narrow, f"{method} /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    )
    assert told[:12] in (b"HTTP/1.1 405", b"HTTP/1.1 400"), told[:100]
    assert b"application/problem+json" in told


@pytest.mark.parametrize("is_proxy", [False, True])
def test_where_a_caller_comes_from_is_a_configured_proxys_to_say(is_proxy: bool) -> None:  # noqa: FBT001
    settings = {"proxies": "127.0.0.0/8"} if is_proxy else {}
    with open_folder() as world, running(world / "home", **settings) as server:
        assert server.activate(zipped("counts-words"))["state"] == "succeeded"
        forged = {"X-Forwarded-For": "198.51.100.7", "Forwarded": "for=198.51.100.8"}
        order = {"package": "counts-words", "parameters": {}}
        job = server.http.post("/v1/jobs", json=order, headers=forged).json()
        server.ended(job["id"])
        request = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()["request"]
    assert request["source"] == ("198.51.100.7" if is_proxy else "127.0.0.1")
    assert "198.51.100.8" not in str(request)
    assert is_proxy or "198.51.100.7" not in str(request)


def test_there_is_room_within_what_descriptors_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, most in ((1024, 1024 - RESERVE), (1 << 20, 4096), (100, 16)):
        monkeypatch.setattr("resource.getrlimit", lambda _, soft=soft: (soft, soft))
        assert room_for(4096) == most


class One:
    def __init__(self, address: str) -> None:
        self.address = address
        self.is_gone = False

    def give_way(self) -> None:
        self.is_gone = True


def test_the_one_that_has_waited_longest_gives_way() -> None:
    table = ConnectionTable(ConnectionBounds(most=3, most_of_one=2))
    first, second, third, fourth = One("a"), One("a"), One("a"), One("b")
    assert table.enter(first) and table.enter(second)
    table.is_served(first)
    assert table.enter(third) and second.is_gone and not first.is_gone
    table.is_served(third)
    assert not table.enter(One("a")), "both of its address are being served"
    assert table.enter(fourth) and table.enter(One("c")) and fourth.is_gone
    assert table.enter(One("")), "the owner always finds room"


def test_a_proxy_speaks_for_many() -> None:
    table = ConnectionTable(ConnectionBounds(most=10, most_of_one=1, proxies=("192.0.2.0/24",)))
    assert all(table.enter(One("192.0.2.1")) for _ in range(10))
    assert len(table) == 10
