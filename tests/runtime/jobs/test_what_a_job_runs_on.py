"""A job runs on what is active as it is stored, whatever was remembered of its package."""

import json

import pytest
from support.bundles import zipped

from ..conftest import Server


def version(number: int, *, needs: str) -> bytes:
    """Return a version that wants one parameter, and says which version it is."""
    schema = {"type": "object", "required": [needs], "additionalProperties": False}
    manifest = {
        "schema": 1,
        "name": "switching",
        "version": str(number),
        "parameters": schema | {"properties": {needs: {"type": "integer"}}},
    }
    return zipped(
        {
            "manifest.json": json.dumps(manifest),
            "extract.py": f"def extract(**_):\n    return {number}\n",
        }
    ).read()


def ran_on(server: Server, **parameters: int) -> str:
    order = {"package": "switching", "parameters": parameters}
    wait = {"Prefer": "wait=60"}
    answer = server.http.post("/v1/jobs", json=order, headers=wait, timeout=90)
    if answer.status_code == 422:
        return answer.json()["code"]
    assert answer.status_code == 200 and answer.json()["state"] == "succeeded", answer.text
    return answer.json()["version"]


def test_a_switch_holds_for_the_next_job_with_whatever_it_takes(server: Server) -> None:
    assert server.activate(version(1, needs="old"))["state"] == "succeeded"
    assert [ran_on(server, old=1), ran_on(server, old=1), ran_on(server, new=1)] == [
        "1",
        "1",
        "input-refused",
    ]
    assert server.activate(version(2, needs="new"))["state"] == "succeeded"
    assert ran_on(server, new=1) == "2", "which the version that is remembered would not take"
    assert ran_on(server, old=1) == "input-refused", "which it would have taken"
    meant = {"If-Match": server.http.get("/v1/packages/switching").headers["etag"]}
    back = server.http.post("/v1/packages/switching/rollback", json={"reason": ""}, headers=meant)
    assert back.status_code < 300, back.text
    assert ran_on(server, old=1) == "1"


@pytest.mark.parametrize("number", [3, 4])
def test_an_order_is_accepted_once_while_versions_are_switched(server: Server, number: int) -> None:
    before = server.activate(version(number, needs="old"))
    assert before["state"] == "succeeded"
    assert ran_on(server, old=1) == str(number)
    listed = server.http.get("/v1/jobs?package=switching&limit=200").json()["items"]
    assert server.activate(version(number + 10, needs="old"))["state"] == "succeeded"
    assert ran_on(server, old=1) == str(number + 10)
    after = server.http.get("/v1/jobs?package=switching&limit=200").json()["items"]
    assert len(after) == len(listed) + 1
