"""The same order by the same key is the same job, however often and at whatever time it comes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from ..conftest import Server, running, zipped


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("keyed") / "home") as server:
        server.activate(zipped("counts-words"))
        yield server


def send(
    server: Server, key: str, *, files: dict[str, bytes] | None = None, **parameters: object
) -> httpx2.Response:
    order = {"package": "counts-words", "parameters": parameters}
    headers = {"Idempotency-Key": key}
    if files is None:
        return server.http.post("/v1/jobs", json=order, headers=headers)
    sent = [("input", (name, content)) for name, content in files.items()]
    form = {"job": json.dumps(order)}
    return server.http.post("/v1/jobs", data=form, files=sent, headers=headers)


def test_the_same_order_is_the_same_job_before_and_after_it_ended(keyed: Server) -> None:
    first = send(keyed, '"a"', n=1)
    assert first.status_code == 202 and "idempotency-replayed" not in first.headers
    job_id = first.json()["id"]
    again = send(keyed, "a", n=1)
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (job_id, "true")
    keyed.ended(job_id)
    late = keyed.http.post(
        "/v1/jobs",
        json={"package": "counts-words", "parameters": {"n": 1}},
        headers={"Idempotency-Key": "a", "Prefer": "wait=30"},
    )
    assert (late.status_code, late.json()["id"]) == (200, job_id)


def test_another_order_by_the_same_key_is_refused(keyed: Server) -> None:
    first = send(keyed, "b", files={"a.txt": b"one"})
    job_id = first.json()["id"]
    assert send(keyed, "b", files={"a.txt": b"one"}).json()["id"] == job_id
    others = (
        send(keyed, "b", files={"a.txt": b"two"}),
        send(keyed, "b", files={"b.txt": b"one"}),
        send(keyed, "b", files={"a.txt": b"one"}, n=1),
        send(keyed, "b"),
    )
    for other in others:
        assert (other.status_code, other.json()["code"]) == (422, "key-used")
        assert job_id in other.json()["detail"]


def test_orders_that_come_together_are_one_job(keyed: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(keyed, "c", n=3), range(24)))
    told = {(one.status_code, one.json().get("code")) for one in answers}
    assert told <= {(202, None), (200, None), (409, "key-in-use")}
    assert len({one.json()["id"] for one in answers if one.status_code < 300}) == 1


def token_of(server: Server, name: str) -> str:
    return server.http.post("/v1/tokens", json={"name": name, "scopes": ["client"]}).json()["token"]


def send_as(server: Server, token: str, key: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    order = {"package": "counts-words", "parameters": {"n": 4}}
    return httpx2.post(f"{server.url}/v1/jobs", json=order, headers=headers, trust_env=False)


def test_keys_of_different_principals_have_nothing_to_do_with_each_other(keyed: Server) -> None:
    hers, his = (send_as(keyed, token_of(keyed, name), "d") for name in ("ana", "ben"))
    assert (hers.status_code, his.status_code) == (202, 202)
    assert hers.json()["id"] != his.json()["id"]


def test_the_key_is_known_after_a_restart_and_whatever_became_active(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        server.activate(zipped("counts-words"))
        token = token_of(server, "ana")
        job_id = send_as(server, token, "e").json()["id"]
        server.ended(job_id)
        manifest = {"schema": 1, "name": "counts-words", "version": "2.0"}
        server.activate(zipped("counts-words", changes={"manifest.json": json.dumps(manifest)}))
    with running(tmp_path / "home") as server:
        assert send_as(server, token, "e").json()["id"] == job_id
    with running(tmp_path / "home", idempotency_h="0.00001", reconcile_interval_s="0.1") as server:
        server.until("/v1/queue", lambda _: send_as(server, token, "e").json()["id"] != job_id)


def test_a_key_that_is_too_long_is_refused(keyed: Server) -> None:
    assert send(keyed, "x" * 256).status_code == 422
