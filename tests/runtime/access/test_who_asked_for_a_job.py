"""Who asked for a job is the same in its run, its hook and its artifact, and nobody else's."""

import json

import pytest

from ..conftest import Server, zipped

TELLS = {
    "manifest.json": json.dumps(
        {
            "schema": 1,
            "name": "tells-who",
            "version": "1.0",
            "hooks": {"on_after_extract": "extract:after"},
        }
    ),
    "extract.py": """
import pathlib
import time


def extract(*, job, **_):
    time.sleep(0.3)
    return {"principal": job.request["principal"], "scopes": job.request["scopes"],
            "id": job.request["request_id"], "traceparent": job.request["traceparent"]}


def after(*, context, outcome, **_):
    print("the hook was told", context.request["principal"], context.request["request_id"])
""",
}


@pytest.fixture(scope="session")
def tells(server: Server) -> Server:
    done = server.activate(zipped("counts-words", changes=TELLS))
    assert done["state"] == "succeeded", done
    return server


def test_jobs_beside_each_other_know_their_own_principal_everywhere(tells: Server) -> None:
    asked: dict[str, tuple[str, str]] = {}
    for number in range(4):
        with tells.as_(tells.token_for("client")) as client:
            request_id = f"who-asked-{number}"
            answer = client.post(
                "/v1/jobs",
                json={"package": "tells-who"},
                headers={
                    "X-Request-Id": request_id,
                    "traceparent": f"00-{number + 1:032x}-{number + 1:016x}-01",
                },
            )
            me = client.get("/v1/me").json()["principal"]
            asked[answer.raise_for_status().json()["id"]] = (me, request_id)
    for job, (principal, request_id) in asked.items():
        tells.ended(job)
        artifact = tells.http.get(f"/v1/jobs/{job}/artifact").json()
        result, request = artifact["result"], artifact["request"]
        assert result["principal"] == request["principal"] == principal
        assert result["scopes"] == request["scopes"] == ["client"]
        assert result["id"] == request["request_id"] == request_id
        assert result["traceparent"] == request["traceparent"]
        log = tells.http.get(f"/v1/jobs/{job}/events").text
        assert f"the hook was told {principal} {request_id}" in log
