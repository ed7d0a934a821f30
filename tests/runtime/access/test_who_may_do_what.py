"""Nobody gets in by the port without a token; what a token opens is one table."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from support.world import open_folder

from runtime.access.operations import (
    ANYBODY,
    ANYONE_KNOWN,
    OPERATIONS,
    PAGES,
    as_markdown,
    scopes_for,
)
from runtime.access.token_text import new_text
from runtime.values.access import Scope

from ..conftest import Server, running, zipped

DOCS = Path(__file__).parents[3] / "docs"
NOBODY = 65534
WALKED = [one for one in {**OPERATIONS, **PAGES} if one not in {"POST /login", "POST /logout"}]
"""Logging in answers 401 itself, and logging out ends what the next one needs."""


def fill(path: str) -> str:
    """Return `path` with something that is not there in each of its places."""
    return "/".join("nothing" if part.startswith("{") else part for part in path.split("/"))


def split(operation: str) -> tuple[str, str]:
    method, _, path = operation.partition(" ")
    return method, fill(path)


def refused(client: httpx2.Client, operation: str) -> int:
    """Return 401 or 403 where the door refuses an operation, else 0."""
    method, path = split(operation)
    with client.stream(method, path) as answer:
        return answer.status_code if answer.status_code in {401, 403} else 0


def test_the_table_knows_every_operation_of_the_api(server: Server) -> None:
    described = server.http.get("/openapi.json").json()["paths"]
    there = {
        f"{method.upper()} {path}": operation
        for path, operations in described.items()
        for method, operation in operations.items()
    }
    assert set(there) == set(OPERATIONS)
    for key, operation in there.items():
        assert set(operation["x-fumehood-scopes"]) == {one.value for one in OPERATIONS[key]}
        assert bool(operation["security"]) == (OPERATIONS[key] != ANYBODY)


@pytest.mark.parametrize("scope", [None, *Scope])
def test_every_operation_is_refused_or_not_as_the_table_says(
    server: Server, scope: Scope | None
) -> None:
    token = server.token_for(scope.value) if scope else None
    with server.as_(token) as client:
        told = {one: refused(client, one) for one in WALKED}
    for operation, status in told.items():
        scopes = scopes_for(*operation.split(" "))
        assert scopes is not None
        if scope is None:
            assert status == (0 if scopes == ANYBODY else 401), operation
        else:
            assert status == (0 if scopes == ANYBODY or scope in scopes else 403), operation


def test_the_table_is_in_the_docs() -> None:
    assert as_markdown() in (DOCS / "access.md").read_text()
    assert set(Scope) == set(ANYONE_KNOWN)


def test_what_is_free_is_free_and_says_nothing(server: Server) -> None:
    with server.as_(None) as nobody:
        assert nobody.get("/healthz").status_code == nobody.get("/readyz").status_code == 200
        assert nobody.get("/static/fumehood.css").status_code == 200
        there = nobody.get("/v1/packages/counts-words")
        absent = nobody.get("/v1/packages/never-was")
        assert there.status_code == absent.status_code == 401
        assert there.headers["www-authenticate"] == 'Bearer realm="fumehood"'
        index = nobody.get("/simple/")
        assert (index.status_code, index.headers["www-authenticate"]) == (
            401,
            'Basic realm="fumehood"',
        )
        basic = {"auth": ("token", server.token)}
        assert nobody.get("/simple/", **basic).status_code == 200
        assert nobody.get("/v1/jobs", **basic).status_code == 401, "browsers would send it unasked"
        assert there.json()["detail"] == absent.json()["detail"]
        page = nobody.get("/jobs/x?a=b", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (
            303,
            "/login?next=%2Fjobs%2Fx%3Fa%3Db",
        )


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer",
        "Bearer fmh_short",
        f"Bearer {new_text()}",
        f"Bearer {new_text()[:-1]}",
        f"Bearer {new_text()}x",
        "Bearer " + "x" * 10_000,
        "Basic !!!",
        "Digest abc",
        b"Bearer fmh_\xe9\xe9",
    ],
    ids=["none", "short", "anothers", "cut", "long", "huge", "no-base64", "scheme", "not-ascii"],
)
def test_what_is_no_token_of_ours_opens_nothing(server: Server, shown: str | bytes) -> None:
    sent = shown.encode() if isinstance(shown, str) else shown
    answer = httpx2.get(f"{server.url}/v1/jobs", headers={b"Authorization": sent}, trust_env=False)
    assert answer.status_code in {401, 429}
    assert answer.json()["code"] in {"wrong-token", "too-many-wrong-tokens"}


def test_a_token_that_is_over_opens_nothing(server: Server) -> None:
    made = json.loads(
        server.command("token", "create", "short-lived", "--scope", "viewer", "--json").stdout
    )
    assert made["token"].startswith("fmh_") and made["created_by"].startswith("token:tests-")
    with server.as_(made["token"]) as client:
        assert client.get("/v1/jobs").status_code == 200
        rotated = json.loads(
            server.command("token", "rotate", "short-lived", "--overlap", "1h", "--json").stdout
        )
        assert client.get("/v1/jobs").status_code == 200, "the former one lasts for a while"
        with server.as_(rotated["token"]) as other:
            assert other.get("/v1/me").json()["principal"] == "token:short-lived"
        again = server.command("token", "rotate", "short-lived", "--overlap", "0m", "--json")
        assert client.get("/v1/jobs").status_code == 401
        assert server.command("token", "revoke", "short-lived").returncode == 0
        with server.as_(json.loads(again.stdout)["token"]) as other:
            assert other.get("/v1/jobs").status_code == 401
    shown = json.loads(server.command("token", "show", "short-lived", "--json").stdout)
    assert shown["revoked_at"] and shown["used_at"] and shown["used_from"] == "127.0.0.1"
    twice = server.command("token", "create", "short-lived", "--scope", "viewer")
    assert twice.returncode == 6, "a name is given once"
    assert server.command("token", "rotate", "short-lived").returncode == 6
    assert made["token"] not in server.command("token", "list", "--json").stdout
    assert made["token"].encode() not in (server.home / "fumehood.db").read_bytes()


@pytest.mark.parametrize(
    ("order", "what"),
    [
        ({"name": "a", "scopes": ["root"]}, "'root' is not a scope"),
        ({"name": "a", "scopes": []}, "without a scope"),
        ({"name": "A b", "scopes": ["viewer"]}, "not a name"),
        ({"name": "a", "scopes": ["client"], "packages": ["never-was"]}, "no package never-was"),
        ({"name": "a", "scopes": ["client"], "packages": ["*x"]}, "neither the name"),
        ({"name": "a", "scopes": ["admin"], "packages": ["x"]}, "not bound"),
        ({"name": "a", "scopes": ["viewer"], "expires_at": "2020-01-01T00:00:00Z"}, "over"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(
    server: Server, order: dict[str, object], what: str
) -> None:
    answer = server.http.post("/v1/tokens", json=order)
    assert answer.status_code == 422
    assert any(what in one["what"] for one in answer.json()["problems"]), answer.text


def test_an_expired_token_opens_nothing(server: Server) -> None:
    made = server.command("token", "create", "blink", "--scope", "viewer", "--for", "1s", "--json")
    with server.as_(json.loads(made.stdout)["token"]) as client:
        server.until("/v1/tokens/blink", lambda _: client.get("/v1/me").status_code == 401)


def test_a_client_sees_its_own_jobs_only(counting: Server) -> None:
    others = counting.submit("counts-words").json()["id"]
    token = counting.token_for("client")
    with counting.as_(token) as client:
        assert client.get("/v1/jobs").json()["items"] == []
        assert sum(client.get("/v1/queue").json()["jobs"].values()) == 0
        mine = client.post("/v1/jobs", json={"package": "counts-words"}).json()["id"]
        assert [one["id"] for one in client.get("/v1/jobs").json()["items"]] == [mine]
        assert mine in client.get("/").text and others not in client.get("/").text
        walked = [one for one in {**OPERATIONS, **PAGES} if "{job_id}" in one]
        for operation in walked:
            method, _, path = operation.partition(" ")
            seen = client.request(method, fill(path.replace("{job_id}", others)))
            never = client.request(method, fill(path.replace("{job_id}", "never-was")))
            assert (seen.status_code, never.status_code) == (404, 404), operation
            assert seen.json()["detail"].replace(others, "never-was") == never.json()["detail"]
        counting.ended(mine)
        artifact = client.get(f"/v1/jobs/{mine}/artifact").json()
        assert artifact["request"]["scopes"] == ["client"]
        assert artifact["request"]["principal"].startswith("token:t-")
        assert artifact["request"]["source"] == "127.0.0.1"
    both = counting.token_for("client", "viewer")
    with counting.as_(both) as client:
        assert client.get(f"/v1/jobs/{others}").status_code == 200
        assert client.post(f"/v1/jobs/{others}/retry").status_code == 404


def test_a_token_bound_to_packages_reaches_no_other(counting: Server) -> None:
    job = counting.submit("counts-words").json()["id"]
    with counting.as_(counting.token_for("viewer", "author", packages=["team-*"])) as bound:
        assert bound.get("/v1/packages").json()["items"] == []
        assert bound.get("/v1/packages/counts-words").status_code == 404
        assert bound.get("/v1/packages/counts-words/versions").status_code == 404
        assert bound.post("/v1/packages/counts-words/rollback").status_code == 404
        assert bound.get(f"/v1/jobs/{job}").status_code == 404
        assert bound.get("/v1/jobs").json()["items"] == []
        manifest = json.dumps({"schema": 1, "name": "stray", "version": "1.0"})
        stray = zipped("counts-words", changes={"manifest.json": manifest})
        assert bound.post("/v1/packages", content=stray).json()["code"] == "not-allowed"
        manifest = json.dumps({"schema": 1, "name": "team-one", "version": "1.0"})
        ours = zipped("counts-words", changes={"manifest.json": manifest})
        assert bound.post("/v1/packages", content=ours).status_code == 201
        assert [one["name"] for one in bound.get("/v1/packages").json()["items"]] == ["team-one"]
    assert counting.http.get("/v1/packages/stray").status_code == 404, "nothing of it was kept"
    with counting.as_(counting.token_for("client", packages=["team-*"])) as bound:
        assert bound.post("/v1/jobs", json={"package": "counts-words"}).status_code == 404


def test_the_owner_needs_no_token_at_home(server: Server) -> None:
    with server.at_home() as owner:
        me = owner.get("/v1/me").json()
        assert (me["way"], me["scopes"]) == ("socket", ["admin"])
        assert me["principal"].startswith("local:")
        owner.put("/v1/gate", json={"is_open": False})
        owner.put("/v1/gate", json={"is_open": True, "reason": "to see who", "who": "root"})
        owner.put("/v1/gate", json={"is_open": False})
        entry = owner.get("/v1/audit?action=gate.open&limit=1").json()["items"][0]
        assert entry["who"] == me["principal"], "who does it is known, whatever is said"
        assert entry["details"]["for_whom"] == "root"
        assert entry["details"]["from"] == "socket" and entry["details"]["request_id"]
        wrong = owner.get("/v1/me", headers={"Authorization": f"Bearer {new_text()}"})
        assert wrong.status_code in {401, 429}, "a token that is shown is what counts"


WALK = """
import json, socket, sys, urllib.error, urllib.request
url, sock, operations = json.loads(sys.stdin.read())
told = {}
for operation in operations:
    method, path = operation
    request = urllib.request.Request(url + path, method=method)
    try:
        told[method + " " + path] = urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        told[method + " " + path] = error.code
peer = socket.socket(socket.AF_UNIX)
try:
    peer.connect(sock)
    peer.sendall(b"GET /v1/me HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    told["socket"] = int(peer.recv(100).split()[1])
except OSError as error:
    told["socket"] = error.strerror
print(json.dumps(told))
"""


@pytest.fixture
def in_the_open() -> Iterator[Server]:
    with open_folder() as world, running(world / "home") as server:
        yield server


def as_another_user(server: Server) -> dict[str, object]:
    walked = [split(one) for one in WALKED]
    said = json.dumps([server.url, str(server.home / "fumehood.sock"), walked])
    # The interpreter of the tests may lie in a home that this user cannot enter.
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    done = subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", python, "-c", WALK],
        input=said,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user too")
def test_another_user_of_the_host_is_nobody(in_the_open: Server) -> None:
    told = as_another_user(in_the_open)
    assert told.pop("socket") == "Permission denied"
    free = {"{} {}".format(*split(one)) for one in WALKED if is_open(one)}
    assert {one for one, status in told.items() if status != 401} == free
    (in_the_open.home / "fumehood.sock").chmod(0o666)
    in_the_open.home.chmod(0o711)
    assert as_another_user(in_the_open)["socket"] == 401, "the kernel says who it is"


def is_open(operation: str) -> bool:
    return scopes_for(*operation.split(" ")) == ANYBODY


def test_a_name_that_was_rebound_to_us_is_misdirected(server: Server) -> None:
    for path in ("/v1/jobs", "/", "/login", "/static/fumehood.css"):
        answer = server.http.get(path, headers={"Host": "evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (421, "misdirected")
    assert server.http.get("/healthz", headers={"Host": "10.1.2.3:80"}).status_code == 200
    assert server.http.get("/readyz", headers={"Host": "probe.example"}).status_code == 200
    assert server.http.get("/v1/me", headers={"Host": "localhost:1"}).status_code == 200


def test_too_many_wrong_tokens_are_told_to_wait_and_a_right_one_is_not(tmp_path: Path) -> None:
    with running(tmp_path / "home", requests_per_minute="40") as server:
        with server.as_(new_text()) as guesser:
            told = [guesser.get("/v1/jobs") for _ in range(25)]
        assert [one.status_code for one in told] == [401] * 20 + [429] * 5
        assert 1 <= int(told[-1].headers["retry-after"]) <= 60
        right = server.http.get("/v1/me")
        assert right.status_code == 200
        assert right.headers["ratelimit-policy"] == '"minute";q=40;w=60'
        assert right.headers["ratelimit"].startswith('"minute";r=39;t=')
        last = [server.http.get("/v1/me") for _ in range(40)][-1]
        assert (last.status_code, last.json()["code"]) == (429, "too-many-requests")
        assert int(last.headers["retry-after"]) >= 1
        with server.at_home() as owner:
            assert owner.get("/v1/me").status_code == 200, "the owner is never kept out"
