"""What a proxy says is believed of a proxy; what another site's page asks, of sites by name."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from ..conftest import PATIENCE_S, Server, running

SITE = "https://dashboard.example"


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An appliance behind a proxy at 127.0.0.1 and one at a socket, which knows another site."""
    folder = tmp_path_factory.mktemp("behind")
    with running(
        folder / "home",
        proxies="127.0.0.1",
        proxy_socket=str(folder / "proxy.sock"),
        cors_origins=SITE,
        names="fumehood.example",
    ) as server:
        yield server


@pytest.fixture
def by_socket(behind: Server) -> Iterator[httpx2.Client]:
    """A proxy that comes by its socket."""
    way = httpx2.HTTPTransport(uds=str(behind.home.parent / "proxy.sock"))
    with httpx2.Client(
        base_url="http://fumehood.example", timeout=PATIENCE_S, trust_env=False, transport=way
    ) as client:
        yield client


def source(server: Server, headers: dict[str, str]) -> str:
    """Return from where the appliance says that a login came."""
    answer = server.http.post("/login", data={"token": server.token}, headers=headers)
    assert answer.status_code == 303, answer.text
    server.http.cookies.clear()
    return server.http.get("/v1/audit?action=session.begin").json()["items"][0]["details"]["from"]


def test_over_tls_of_a_proxy_the_cookie_is_secure(behind: Server) -> None:
    over = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    for headers, is_secure in ((over, True), ({}, False)):
        answer = behind.http.post("/login", data={"token": behind.token}, headers=headers)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-fumehood=") is is_secure
        assert ("Secure" in cookie) is is_secure
        assert ("strict-transport-security" in answer.headers) is is_secure
        behind.http.cookies.clear()


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "127.0.0.1"),
        ({"X-Forwarded-For": "203.0.113.9"}, "203.0.113.9"),
        ({"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}, "203.0.113.9"),
        ({"X-Forwarded-For": "203.0.113.9, 127.0.0.1"}, "203.0.113.9"),
        ({"X-Forwarded-For": "[2001:db8::1]:443"}, "2001:db8::1"),
        ({"X-Forwarded-For": "nonsense"}, "127.0.0.1"),
        ({"Forwarded": "for=198.51.100.1;proto=https"}, "127.0.0.1"),
    ],
    ids=["none", "one", "caller-wrote", "two-proxies", "ipv6", "nonsense", "the-other-field"],
)
def test_the_last_that_is_no_proxy_asks(
    behind: Server, headers: dict[str, str], address: str
) -> None:
    assert source(behind, headers) == address


def test_a_proxy_that_writes_forwarded_is_understood(tmp_path: Path) -> None:
    with running(tmp_path / "home", proxies="127.0.0.1", proxy_fields="Forwarded") as server:
        field = 'for=198.51.100.1, for="[2001:db8::7]:1234";proto=https'
        assert source(server, {"Forwarded": field}) == "2001:db8::7"
        assert source(server, {"X-Forwarded-For": "203.0.113.9"}) == "127.0.0.1"
        answer = server.http.get("/healthz", headers={"Forwarded": field})
        assert "strict-transport-security" in answer.headers


def test_who_is_no_proxy_is_not_believed(server: Server) -> None:
    told = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Forwarded": "for=::1"}
    assert source(server, told) == "127.0.0.1"
    assert "strict-transport-security" not in server.http.get("/healthz", headers=told).headers


def test_the_socket_of_a_proxy_wants_a_principal(behind: Server, by_socket: httpx2.Client) -> None:
    assert by_socket.get("/healthz").status_code == 200
    assert by_socket.get("/v1/me").status_code == 401, "the owner's socket is another one"
    token = {"Authorization": f"Bearer {behind.token}"}
    assert by_socket.get("/v1/me", headers=token).json()["way"] == "token"
    rebound = by_socket.get("/v1/me", headers={**token, "Host": "evil.example"})
    assert rebound.status_code == 421
    made = behind.http.post("/v1/tokens", json={"name": "by-socket", "scopes": ["viewer"]})
    shown = {"Authorization": f"Bearer {made.json()['token']}", "X-Forwarded-For": "203.0.113.7"}
    assert by_socket.get("/v1/me", headers=shown).status_code == 200
    assert behind.http.get("/v1/tokens/by-socket").json()["used_from"] == "203.0.113.7"
    path = behind.home.parent / "proxy.sock"
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_site_by_name_may_ask_with_a_token(behind: Server) -> None:
    wish = {
        "Origin": SITE,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization",
    }
    with behind.as_(None) as browser:
        asked = browser.options("/v1/gate", headers=wish)
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, SITE)
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in asked.headers
    page = {"Origin": SITE, "Sec-Fetch-Site": "cross-site"}
    read = behind.http.get("/v1/gate", headers=page)
    assert read.headers["access-control-allow-origin"] == SITE
    assert "Origin" in read.headers["vary"]
    assert "ETag" in read.headers["access-control-expose-headers"]
    assert behind.http.put("/v1/gate", json={"is_open": False}, headers=page).status_code == 200
    cookie = {**page, "Cookie": "fumehood=x"}
    assert behind.http.put("/v1/gate", json={"is_open": False}, headers=cookie).status_code == 403


def test_no_other_site_may(behind: Server, server: Server) -> None:
    field = "access-control-allow-origin"
    for one, origin in ((behind, "https://evil.example"), (server, SITE)):
        page = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        wish = {**page, "Access-Control-Request-Method": "PUT"}
        assert field not in one.http.options("/v1/gate", headers=wish).headers
        assert field not in one.http.get("/v1/gate", headers=page).headers
        assert one.http.put("/v1/gate", json={"is_open": False}, headers=page).status_code == 403


def test_the_trace_of_a_caller_is_handed_on(behind: Server) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = behind.http.get("/healthz", headers={"traceparent": trace})
    assert answer.headers["traceparent"] == trace
    for wrong in ("nonsense", trace.replace("4", "x"), "00-" + "0" * 32 + "-00f067aa0ba902b7-01"):
        answer = behind.http.get("/healthz", headers={"traceparent": wrong})
        assert "traceparent" not in answer.headers
