"""Webhooks, batches and bulk operations are of no package: a bound token sees its own only."""

from collections.abc import Iterator

import httpx2
import pytest

from ..conftest import Server, running, zipped

LISTS = ("/v1/webhooks", "/v1/deliveries", "/v1/batches", "/v1/bulk")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An appliance in which a client has one of each, with reasons and addresses in it."""
    settings = {"webhooks__hosts": "hooks.example.org", "anonymous_reads": "true"}
    with running(tmp_path_factory.mktemp("told") / "home", **settings) as server:
        assert server.activate(zipped("counts-words"))["state"] == "succeeded"
        with server.as_(server.token_for("client")) as client:
            hook = {"url": "https://hooks.example.org/secret", "package": "counts-words"}
            assert client.post("/v1/webhooks", json=hook).status_code == 201
            batch = {"name": "secret-batch", "note": "of a client"}
            assert client.post("/v1/batches", json=batch).status_code == 201
            job = client.post("/v1/jobs", json={"package": "counts-words"}).json()["id"]
            server.ended(job)
            order = {"act": "retry", "wanted": {"state": "failed"}, "reason": "secret", "count": 0}
            assert client.post("/v1/bulk", json=order).status_code == 202
            server.until("/v1/deliveries", lambda seen: bool(seen["items"]))
        yield server


def seen_by(client: httpx2.Client) -> list[int]:
    return [len(client.get(path).json()["items"]) for path in LISTS]


def test_who_may_see_all_sees_them(told: Server) -> None:
    with told.as_(told.token_for("viewer")) as viewer:
        assert seen_by(viewer) == [1, 1, 1, 1]


@pytest.mark.parametrize("scope", ["viewer", "operator"])
def test_a_bound_token_sees_and_changes_none_of_anothers(told: Server, scope: str) -> None:
    ids = {path: told.http.get(path).json()["items"][0]["id"] for path in LISTS}
    with told.as_(told.token_for(scope, "client", packages=["beta*"])) as bound:
        assert seen_by(bound) == [0, 0, 0, 0]
        assert bound.get("/v1/batches/secret-batch").status_code == 404
        assert bound.get(f"/v1/bulk/{ids['/v1/bulk']}").status_code == 404
        assert bound.post("/v1/batches/secret-batch/seal").status_code == 404
        assert bound.post(f"/v1/bulk/{ids['/v1/bulk']}/stop").status_code == 404
        assert bound.delete(f"/v1/webhooks/{ids['/v1/webhooks']}").status_code == 404
    assert told.http.get("/v1/batches/secret-batch").json()["sealed_at"] is None


def test_a_bound_operator_drains_no_worker(told: Server) -> None:
    worker = told.http.get("/v1/workers").json()["items"][0]["id"]
    with told.as_(told.token_for("operator", packages=["beta*"])) as bound:
        assert bound.post(f"/v1/workers/{worker}/drain").status_code == 403


def test_anybody_at_an_open_door_sees_none(told: Server) -> None:
    with told.as_(None) as visitor:
        assert visitor.get("/v1/jobs").json()["items"] != []
        assert seen_by(visitor) == [0, 0, 0, 0]


def test_a_batch_is_found_by_its_id_whatever_another_is_called(told: Server) -> None:
    first = told.http.post("/v1/batches", json={"name": "x1"}).json()["id"]
    assert told.http.post("/v1/batches", json={"name": first}).status_code == 201
    assert told.http.get(f"/v1/batches/{first}").json()["name"] == "x1"
    assert told.http.post("/v1/batches/x1/seal").status_code == 200
