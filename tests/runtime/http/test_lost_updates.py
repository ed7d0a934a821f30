"""Of two who change the same at once, the second is told that it is not as it was read."""

import json
from collections.abc import Iterator

import pytest

from ..conftest import Server, running, zipped


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose gate nobody else opens."""
    with running(tmp_path_factory.mktemp("alone") / "home") as server:
        yield server


def tag(server: Server, path: str) -> dict[str, str]:
    return {"If-Match": server.http.get(path).headers["etag"]}


def test_two_who_go_back_at_once_go_back_once(server: Server) -> None:
    path = "/v1/packages/goes-back"
    for number in ("1.0", "2.0", "3.0"):
        manifest = {"schema": 1, "name": "goes-back", "version": number}
        changes = {"manifest.json": json.dumps(manifest)}
        assert server.activate(zipped("counts-words", changes=changes))["state"] == "succeeded"
    unsaid = server.http.post(f"{path}/rollback")
    assert (unsaid.status_code, unsaid.json()["code"]) == (428, "precondition-required")
    seen = tag(server, path)
    first = server.http.post(f"{path}/rollback", headers=seen)
    second = server.http.post(f"{path}/rollback", headers=seen)
    assert (first.status_code, second.status_code) == (200, 412)
    assert second.json()["code"] == "precondition-failed"
    assert server.http.get(path).json()["active_version"] == "2.0"
    late = server.http.post(f"{path}/versions/3.0/activate", headers=seen)
    assert late.status_code == 412
    assert server.http.get(f"{path}/activations").json()["items"][0]["version"] == "3.0"
    entries = server.http.get("/v1/audit?action=activation.request").json()["items"]
    mine = [one["details"] for one in entries if one["subject"] == "goes-back 3.0"]
    assert len(mine) == 1 and mine[0]["from"] == "127.0.0.1" and mine[0]["request_id"]


def test_a_token_is_rotated_by_who_knows_it_as_it_is(server: Server) -> None:
    server.http.post("/v1/tokens", json={"name": "rotated-twice", "scopes": ["viewer"]})
    path = "/v1/tokens/rotated-twice"
    assert server.http.post(f"{path}/rotate").status_code == 428
    seen = tag(server, path)
    assert server.http.post(f"{path}/rotate", headers=seen).status_code == 200
    assert server.http.post(f"{path}/rotate", headers=seen).status_code == 412


def test_an_open_gate_is_not_opened_over(alone: Server) -> None:
    opening = {"is_open": True, "minutes": 5, "reason": "first"}
    before = tag(alone, "/v1/gate")
    assert alone.http.put("/v1/gate", json=opening, headers=before).status_code == 200
    other = {"is_open": True, "minutes": 50, "reason": "second"}
    assert alone.http.put("/v1/gate", json=other).status_code == 428
    assert alone.http.put("/v1/gate", json=other, headers=before).status_code == 412
    assert alone.http.get("/v1/gate").json()["reason"] == "first"
    seen = tag(alone, "/v1/gate")
    assert alone.http.put("/v1/gate", json=other, headers=seen).status_code == 200
    assert alone.http.put("/v1/gate", json={"is_open": False}).status_code == 200, "always"
    assert alone.http.put("/v1/gate", json=opening).status_code == 200
    assert alone.command("gate", "open", "-r", "third").returncode == 0
    assert alone.http.get("/v1/gate").json()["reason"] == "third"
    alone.http.put("/v1/gate", json={"is_open": False})
