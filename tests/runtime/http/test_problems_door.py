"""Whatever goes wrong, the answer is problem+json with a code, a place and a mend."""

import json
import re

import httpx2
import pytest

from packages.errors import PackageError
from runtime.access.operations import OPERATIONS, PAGES
from runtime.faults.errors import RuntimeFault
from runtime.problem_table import TABLE, fault_of
from sandbox.errors import SandboxError
from wheelhouse.errors import WheelhouseError

from ..conftest import Server


def families() -> list[type[Exception]]:
    todo: list[type[Exception]] = [RuntimeFault, PackageError, WheelhouseError, SandboxError]
    found: list[type[Exception]] = []
    while todo:
        found.append(todo.pop())
        todo += found[-1].__subclasses__()
    return [one for one in found if one.__module__.split(".")[0] != "tests"]


@pytest.mark.parametrize("family", families(), ids=lambda one: one.__name__)
def test_every_fault_of_every_room_has_its_place_in_the_table(family: type[Exception]) -> None:
    code = family.code  # type: ignore[attr-defined]
    assert code in TABLE, f"{family.__name__} ({code}) is answered as a bug of ours"
    assert family.__doc__ and family.__doc__.splitlines()[0].endswith("."), "a sentence is read"


def test_a_stranger_is_said_to_be_a_bug_and_nothing_of_it_leaks() -> None:
    fault = fault_of(ZeroDivisionError("secret /home/ana"))
    assert (fault.answer.status, fault.answer.exit_code) == (500, 70)
    assert "secret" not in json.dumps(fault.to_document(instance="/"))


def document(answer: httpx2.Response) -> dict[str, object]:
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["request_id"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail", "instance", "code", "problems"} <= set(told)
    return told


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/v1/nothing", {}, 404, "not-found"),
        ("GET", "/v1/jobs/nobody", {}, 404, "not-found"),
        ("GET", "/jobs/nobody", {}, 404, "not-found"),
        ("GET", "/static/nothing.css", {}, 404, "not-found"),
        ("DELETE", "/v1/jobs", {}, 405, "method-not-allowed"),
        ("GET", "/v1/jobs?limit=0", {}, 422, "input-refused"),
        ("GET", "/v1/jobs?state=happy", {}, 422, "input-refused"),
        ("GET", "/v1/jobs?cursor=%21%21", {}, 400, "malformed"),
        ("GET", "/v1/jobs?cursor=%C3%A9", {}, 400, "malformed"),
        ("GET", "/v1/audit?cursor=MTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA", {}, 400, "malformed"),
        ("GET", "/v1/audit?cursor=2aHZog", {}, 400, "malformed"),
        (
            "PUT",
            "/v1/gate",
            {"json": {"is_open": True, "until": "0001-01-01T00:00:00+14:00", "reason": "x"}},
            422,
            "input-refused",
        ),
        (
            "PUT",
            "/v1/gate",
            {"json": {"is_open": True, "until": "9999-12-31T23:59:59-14:00", "reason": "x"}},
            422,
            "input-refused",
        ),
        ("GET", "/v1/jobs/x/events?after=9223372036854775808", {}, 422, "input-refused"),
        ("GET", "/v1/jobs/x/outputs?attempt=9223372036854775808", {}, 422, "input-refused"),
        ("GET", "/jobs/x?attempt=9223372036854775808", {}, 422, "input-refused"),
        (
            "GET",
            "/v1/jobs/x/events",
            {"headers": {"Last-Event-ID": "9223372036854775808"}},
            422,
            "input-refused",
        ),
        ("POST", "/v1/jobs", {"json": {"package": "x" * 2_000_000}}, 413, "too-large"),
        ("POST", "/v1/jobs", {"content": b"{", "headers": {}}, 422, "input-refused"),
        ("PUT", "/v1/gate", {"json": {"is_open": "perhaps"}}, 422, "input-refused"),
        ("PUT", "/v1/gate", {"json": {"is_open": True}}, 422, "input-refused"),
        ("POST", "/v1/wheelhouse/wheels", {"content": b"no wheel"}, 422, "wheel-refused"),
        ("POST", "/v1/packages/nobody/rollback", {}, 404, "not-found"),
        ("GET", "/v1/jobs/x/events", {"headers": {"Last-Event-ID": "y"}}, 422, "input-refused"),
    ],
)
def test_every_refusal_is_a_problem_document(
    server: Server, method: str, path: str, options: dict[str, object], status: int, code: str
) -> None:
    answer = server.http.request(method, path, **options)
    told = document(answer)
    assert (answer.status_code, told["code"]) == (status, code)


def test_a_page_of_another_site_cannot_change_anything(server: Server) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
        refused = server.http.put("/v1/gate", json={"is_open": False}, headers=headers)
        assert (refused.status_code, document(refused)["code"]) == (403, "cross-site")
    own = server.http.put("/v1/gate", json={"is_open": False}, headers={"Origin": server.url})
    assert own.status_code == 200


def test_a_request_id_is_the_callers_or_ours(server: Server) -> None:
    mine = server.http.get("/healthz", headers={"X-Request-Id": "abc-1"})
    assert mine.headers["x-request-id"] == "abc-1"
    bad = server.http.get("/healthz", headers={"X-Request-Id": "x" * 500})
    assert len(bad.headers["x-request-id"]) == 36


def test_the_description_of_the_api_is_whole_and_the_schemas_are_published(server: Server) -> None:
    described = server.http.get("/openapi.json").json()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], f"{method} {path} says nothing of itself"
    assert server.http.get("/v1/schemas/artifact").json()["$id"] == "urn:fumehood:artifact:1"
    assert "entrypoint" in server.http.get("/v1/schemas/manifest").json()["properties"]


PLACE = re.compile(r"\{\w+\}")
PLACED = sorted(one for one in {**OPERATIONS, **PAGES} if "{" in one)


@pytest.mark.parametrize("operation", PLACED)
def test_no_name_whatever_it_holds_is_a_bug_of_ours(server: Server, operation: str) -> None:
    """What was asked for comes back in fields, pages and documents, which not each name fits."""
    method, _, path = operation.partition(" ")
    for name in ("%F3%BC%B8%8A", "%00", "%0D%0AX:1", "%FF%FE", "a" * 3000, "..%2F..", "%ED%A0%80"):
        answer = server.http.request(method, PLACE.sub(name, path), headers={"If-Match": "*"})
        assert answer.status_code < 500, (name, answer.text)
