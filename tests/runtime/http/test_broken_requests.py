"""What is no right request is answered as every fault is, also by the server itself."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from ..conftest import Server

REST = "Host: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"


def told(server: Server, request: str) -> tuple[int, dict[str, str], dict[str, object]]:
    """Send `request` as it is; return status, header fields and document of the answer."""
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port or 0), timeout=30) as peer:
        peer.sendall(request.replace("{token}", server.token).encode("latin-1"))
        answer = peer.makefile("rb")
        head = b"".join(iter(answer.readline, b"\r\n"))
        first, *lines = head.decode("latin-1").splitlines()
        fields = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        body = answer.read(int(fields["content-length"]))
    return int(first.split()[1]), fields, json.loads(body)


@pytest.mark.parametrize(
    ("request_text", "status", "code"),
    [
        pytest.param("NONSENSE\r\n\r\n", 400, "malformed", id="request-line"),
        pytest.param("BREW / HTTP/1.1\r\n" + REST, 400, "malformed", id="unknown-method"),
        pytest.param("QUERY /v1/jobs HTTP/1.1\r\n" + REST, 405, "method-not-allowed", id="method"),
        pytest.param("GET /v1/nothing HTTP/1.1\r\n" + REST, 404, "not-found", id="path"),
        pytest.param(
            "GET /v1/jobs HTTP/1.0\r\nHost: localhost\r\n\r\n", 401, "unauthorized", id="http-1.0"
        ),
        pytest.param("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "malformed", id="http-2.0"),
        pytest.param("GET /v1/jobs/%zz HTTP/1.1\r\n" + REST, 404, "not-found", id="bad-escape"),
        pytest.param("GET /v1/jobs/%ff HTTP/1.1\r\n" + REST, 404, "not-found", id="not-utf-8"),
        pytest.param("GET /v1/jobs/%00 HTTP/1.1\r\n" + REST, 404, "not-found", id="nul"),
        pytest.param(
            "GET /v1/jobs?cursor=%zz HTTP/1.1\r\n" + REST, 400, "malformed", id="query-escape"
        ),
        pytest.param("OPTIONS * HTTP/1.1\r\n" + REST, 404, "not-found", id="asterisk"),
        pytest.param(
            f"GET /{'a' * 70_000} HTTP/1.1\r\n" + REST, 414, "too-large", id="long-address"
        ),
        pytest.param(
            f"GET / HTTP/1.1\r\nX: {'a' * 70_000}\r\n" + REST, 431, "too-large", id="long-field"
        ),
        pytest.param(
            f"GET / HTTP/1.1\r\n{'X: a\r\n' * 300}" + REST, 431, "too-large", id="many-fields"
        ),
    ],
)
def test_a_broken_request_is_told_what_is_wrong(
    server: Server, request_text: str, status: int, code: str
) -> None:
    got, fields, document = told(server, request_text)
    assert (got, document["status"], document["code"]) == (status, status, code)
    assert fields["content-type"] == "application/problem+json"
    assert document["request_id"] == fields["x-request-id"]
    assert {"type", "title", "detail", "instance", "problems"} <= set(document)


@pytest.mark.parametrize(
    "head",
    [
        "PUT /v1/gate HTTP/1.1\r\nContent-Type: application/json\r\n",
        "POST /v1/packages HTTP/1.1\r\nContent-Type: application/zip\r\n",
        "POST /v1/wheelhouse/wheels HTTP/1.1\r\nContent-Type: application/octet-stream\r\n",
        "POST /v1/jobs HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n",
        "POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        "POST /v1/login-links HTTP/1.1\r\n",
    ],
    ids=["json", "bundle", "wheel", "inputs", "form", "not-wanted"],
)
@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"], ids=["sent", "asked"])
def test_what_is_said_to_be_too_long_is_refused_before_it_comes(
    server: Server, head: str, expect: str
) -> None:
    status, _, document = told(server, f"{head}Content-Length: 9000000000\r\n{expect}{REST}")
    assert (status, document["code"]) == (413, "too-large")


def test_a_form_without_an_end_is_not_kept(server: Server) -> None:
    chunk = "100000\r\n" + "a" * 0x100000 + "\r\n"
    head = "POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    status, _, document = told(server, f"{head}Transfer-Encoding: chunked\r\n{REST}{chunk * 2}")
    assert (status, document["code"]) == (413, "too-large")


def test_what_there_is_at_a_path_is_told_with_405(server: Server) -> None:
    for path, methods in {
        "/v1/gate": "GET, HEAD, PUT",
        "/v1/tokens/x": "DELETE, GET, HEAD",
        "/login": "GET, HEAD, POST",
        "/static/fumehood.css": "GET, HEAD",
    }.items():
        answer = server.http.request("PATCH", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods), path
