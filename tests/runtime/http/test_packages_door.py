"""Packages over HTTP: what is right is kept and activated, what is wrong is told in full."""

import io
import json
import zipfile

import pytest

from ..conftest import Server, zipped


def named(name: str, *, version: str = "1.0", **more: object) -> dict[str, str]:
    manifest = {"schema": 1, "name": name, "version": version, "title": name} | more
    return {"manifest.json": json.dumps(manifest)}


def test_a_bundle_is_uploaded_looked_at_and_activated(server: Server) -> None:
    content = zipped("counts-words", changes=named("first-words"))
    uploaded = server.http.post("/v1/packages", content=content)
    assert uploaded.status_code == 201
    assert uploaded.headers["location"] == "/v1/packages/first-words/versions/1.0"
    again = server.http.post("/v1/packages", content=content)
    assert (again.status_code, again.json()["digest"]) == (200, uploaded.json()["digest"])

    assert server.http.get("/v1/packages/first-words").json()["active_version"] is None
    refused = server.submit("first-words")
    assert (refused.status_code, refused.json()["code"]) == (409, "not-active")

    activation = server.activate(content)
    assert activation["state"] == "succeeded"
    assert [line["data"]["line"] for line in activation["log"] if "line" in line["data"]] == [
        "warming up"
    ]
    shown = server.http.get("/v1/packages/first-words/versions/1.0").json()
    assert shown["is_active"] and shown["manifest"]["name"] == "first-words"


def test_a_form_is_as_good_as_a_body(server: Server) -> None:
    content = zipped("counts-words", changes=named("by-form"))
    uploaded = server.http.post("/v1/packages", files={"bundle": ("b.zip", content)})
    assert (uploaded.status_code, uploaded.json()["package"]) == (201, "by-form")
    wrong = server.http.post("/v1/packages", files={"archive": ("b.zip", content)})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "malformed")


def test_a_bundle_with_many_faults_tells_all_of_them_and_leaves_nothing(server: Server) -> None:
    before = sorted((server.home / "bundles").glob("*"))
    wrong = named("wrong", version="one", colour="red") | {"requirements.txt": "-e .\n"}
    refused = server.http.post("/v1/packages", content=zipped("counts-words", changes=wrong))
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    document = refused.json()
    assert document["code"] == "bundle-refused"
    places = " ".join(problem["where"] for problem in document["problems"])
    assert "manifest.json" in places and "requirements.txt" in places
    assert len(document["problems"]) >= 3
    assert all(problem["mend"] for problem in document["problems"])
    assert sorted((server.home / "bundles").glob("*")) == before
    assert server.http.get("/v1/packages/wrong").status_code == 404


def hostile_zip(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "boo")
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"this is no archive", id="text"),
        pytest.param(zipped("counts-words")[:-30], id="truncated"),
        pytest.param(hostile_zip("../../etc/passwd"), id="climbing"),
        pytest.param(hostile_zip("/etc/passwd"), id="absolute"),
    ],
)
def test_what_is_no_bundle_is_refused_and_leaves_nothing(server: Server, content: bytes) -> None:
    before = sorted((server.home / "bundles").glob("*"))
    refused = server.http.post("/v1/packages", content=content)
    assert (refused.status_code, refused.json()["code"]) == (422, "bundle-refused")
    assert sorted((server.home / "bundles").glob("*")) == before
    assert list((server.home / "cache").glob("*")) == []


def test_a_version_never_changes(server: Server) -> None:
    first = zipped("counts-words", changes=named("steady"))
    second = zipped("counts-words", changes=named("steady") | {"extra.py": "x = 1\n"})
    assert server.http.post("/v1/packages", content=first).status_code == 201
    refused = server.http.post("/v1/packages", content=second)
    assert (refused.status_code, refused.json()["code"]) == (409, "version-conflict")


def test_a_failing_on_activate_blocks_the_version_and_shows_its_traceback(server: Server) -> None:
    good = zipped("counts-words", changes=named("guarded"))
    assert server.activate(good)["state"] == "succeeded"
    bad = zipped("on-activate-raises", changes=named("guarded", version="2.0"))
    activation = server.activate(bad)
    assert activation["state"] == "failed"
    assert "model.bin is not in the bundle" in activation["traceback"]
    assert any("looking for the model" in str(line) for line in activation["log"])
    assert server.http.get("/v1/packages/guarded").json()["active_version"] == "1.0"
    told = server.command("package", "log", "guarded").stdout
    assert "lock 0 of 0 wheels" in told and "looking for the model" in told
    assert "model.bin is not in the bundle" in told and "2.0 did not become active" in told
    assert "guarded 1.0 is active" in server.command("package", "log", "guarded", "1.0").stdout
    assert server.command("package", "log", "guarded", "9").returncode == 4


def test_what_the_wheelhouse_lacks_is_named_with_both_ways_to_mend_it(server: Server) -> None:
    activation = server.activate(zipped("needs-what-is-not-there"))
    assert activation["state"] == "failed"
    told = json.dumps(activation["problems"])
    assert "a-distribution-nobody-has" in told
    assert "fumehood wheelhouse add" in told and "fumehood gate open" in told


def test_going_back_makes_the_former_version_active(server: Server) -> None:
    for version in ("1.0", "2.0"):
        server.activate(zipped("counts-words", changes=named("returning", version=version)))
    path = "/v1/packages/returning"
    seen = {"If-Match": server.http.get(path).headers["etag"]}
    back = server.http.post(f"{path}/rollback", json={"reason": "2.0 is slow"}, headers=seen)
    assert (back.status_code, back.json()["active_version"]) == (200, "1.0")
    job = server.ended(server.submit("returning").json()["id"])
    artifact = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert (artifact["package"]["version"], artifact["install"]["reused"]) == ("1.0", True)
    seen = {"If-Match": server.http.get(path).headers["etag"]}
    further = server.http.post(f"{path}/rollback", headers=seen)
    assert (further.status_code, further.json()["code"]) == (409, "state-conflict")


def test_a_job_can_name_a_version_that_was_active(server: Server) -> None:
    for version in ("1.0", "2.0"):
        server.activate(zipped("counts-words", changes=named("named", version=version)))
    answer = server.http.post("/v1/jobs", json={"package": "named", "version": "1.0"})
    assert (answer.status_code, answer.json()["version"]) == (202, "1.0")
    missing = server.http.post("/v1/jobs", json={"package": "named", "version": "9"})
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
