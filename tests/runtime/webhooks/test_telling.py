"""A served appliance tells of ends: signed, tried again, listed, and holding nothing back."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Server, running, zipped


@dataclass(slots=True)
class Receiver:
    """Who is told, what it was told, and what it answers next."""

    port: int = 0
    heard: list[tuple[dict[str, str], str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/jobs"

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.heard]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            receiver.heard.append((dict(self.headers.items()), body))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Receiver]]:
    with receiving() as receiver:
        settings = {
            "webhooks__hosts": "localhost",
            "webhooks__ports": str(receiver.port),
            "webhooks__private": "127.0.0.0/8 ::1/128",
        }
        with running(tmp_path_factory.mktemp("told") / "home", **settings) as server:
            server.activate(zipped("counts-words"))
            yield server, receiver


def delivered(server: Server, job_id: str) -> dict[str, Any]:
    page = server.until(
        f"/v1/deliveries?job={job_id}",
        lambda page: page["items"] and page["items"][0]["state"] == "delivered",
    )
    return page["items"][0]


def test_who_the_order_names_is_told_once_and_can_verify_it(told: tuple[Server, Receiver]) -> None:
    server, receiver = told
    receiver.heard.clear()
    order = {"package": "counts-words", "webhook": receiver.url, "labels": {"a": "b"}}
    job = server.http.post("/v1/jobs", json=order).json()
    found = delivered(server, job["id"])
    (heard,) = receiver.heard
    headers = {name.lower(): value for name, value in heard[0].items()}
    assert json.loads(heard[1])["data"]["job"]["id"] == job["id"]
    assert json.loads(heard[1])["data"]["job"]["labels"] == {"a": "b"}
    assert headers["webhook-id"] == found["id"]
    secret = server.command("webhook", "secret").stdout.strip()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{heard[1]}".encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    own = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{own}"


def test_a_failed_try_is_tried_again_and_a_delivery_can_be_replayed(
    told: tuple[Server, Receiver],
) -> None:
    server, receiver = told
    receiver.heard.clear()
    receiver.answers[:] = [410]
    order = {"package": "counts-words", "webhook": receiver.url}
    job = server.http.post("/v1/jobs", json=order).json()
    page = server.until(
        f"/v1/deliveries?job={job['id']}",
        lambda page: page["items"] and page["items"][0]["state"] == "failed",
    )
    (gone,) = page["items"]
    assert (gone["tries"], gone["status"]) == (1, 410)
    receiver.answers[:] = [503]
    server.command("webhook", "replay", gone["id"])
    again = server.until(f"/v1/deliveries/{gone['id']}", lambda one: one["tries"] == 1)
    assert again["state"] == "waiting" and again["error"] == "it answered 503"
    assert again["due_at"] > again["at"]
    replayed = server.command("webhook", "replay", gone["id"], "--json")
    assert replayed.returncode == 0, replayed.stderr
    delivered(server, job["id"])
    ids = {headers["webhook-id"] for headers, _ in receiver.heard}
    assert ids == {gone["id"]} and len(receiver.heard) == 3
    assert gone["id"] in server.command("webhook", "deliveries").stdout


def test_a_webhook_of_a_package_is_told_of_retries_too(told: tuple[Server, Receiver]) -> None:
    server, receiver = told
    receiver.heard.clear()
    made = server.command("webhook", "add", receiver.url, "--package", "counts-*")
    assert made.returncode == 0, made.stderr
    job_id = server.submit("counts-words").json()["id"]
    delivered(server, job_id)
    server.http.post(f"/v1/jobs/{job_id}/retry")
    server.until(f"/v1/deliveries?job={job_id}", lambda page: len(page["items"]) == 2)
    delivered(server, job_id)
    assert sorted(one["data"]["job"]["attempt"] for one in receiver.bodies()) == [1, 2]
    with server.as_(server.token_for("client")) as client:
        assert client.get("/v1/webhooks").json()["items"] == []
        assert client.get("/v1/deliveries").json()["items"] == []
        assert client.delete(f"/v1/webhooks/{made.stdout.strip()}").status_code == 404
        own = client.get("/v1/webhook-secret").json()["secret"]
        assert own != server.command("webhook", "secret").stdout.strip()
    assert server.command("webhook", "remove", made.stdout.strip()).returncode == 0


def test_a_batch_is_told_of_once_when_all_have_ended(told: tuple[Server, Receiver]) -> None:
    server, receiver = told
    receiver.heard.clear()
    made = server.command("batch", "create", "told", "--webhook", receiver.url)
    assert made.returncode == 0, made.stderr
    for _ in range(2):
        order = {"package": "counts-words", "batch": "told"}
        assert server.http.post("/v1/jobs", json=order).status_code == 202
    server.command("batch", "seal", "told")
    server.until("/v1/batches/told", lambda one: one["ended_at"])
    server.until("/v1/deliveries", lambda page: page["items"][0]["state"] == "delivered")
    (body,) = receiver.bodies()
    assert (body["type"], body["data"]["batch"]["jobs"]) == ("batch.ended", {"succeeded": 2})


def test_whom_nobody_may_tell_is_refused_with_place_and_mend(
    told: tuple[Server, Receiver],
) -> None:
    server, _ = told
    for place, order in (
        ("/v1/jobs", {"package": "counts-words", "webhook": "https://evil.example/"}),
        ("/v1/webhooks", {"url": "http://169.254.169.254/latest/meta-data"}),
        ("/v1/batches", {"name": "x", "webhook": "ftp://localhost/"}),
    ):
        answer = server.http.post(place, json=order)
        assert answer.status_code == 422, place
        (problem,) = answer.json()["problems"]
        assert problem["where"] == "webhook" and problem["mend"]


def test_what_is_untold_when_the_appliance_is_killed_is_told_by_the_next(tmp_path: Path) -> None:
    with receiving() as receiver:
        settings = {
            "webhooks__hosts": "localhost",
            "webhooks__ports": str(receiver.port),
            "webhooks__private": "127.0.0.0/8 ::1/128",
        }
        receiver.answers[:] = [500] * 100
        home = tmp_path / "home"
        with running(home, **settings) as server:
            server.activate(zipped("counts-words"))
            order = {"package": "counts-words", "webhook": receiver.url}
            job = server.http.post("/v1/jobs", json=order).json()
            server.ended(job["id"])
            server.process.kill()
            server.process.wait()
        receiver.answers.clear()
        with running(home, **settings) as server:
            page = server.until(f"/v1/deliveries?job={job['id']}", lambda page: page["items"])
            server.http.post(f"/v1/deliveries/{page['items'][0]['id']}/replay")
            delivered(server, job["id"])
