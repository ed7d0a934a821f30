"""A browser logs in by a token or a link that is good once, and is logged out from elsewhere."""

import re

import httpx2
import pytest

from ..conftest import PATIENCE_S, Server, running

COOKIE = re.compile(r"fumehood=[\w-]{43}; HttpOnly; Max-Age=43200; Path=/; SameSite=strict")
CSRF = re.compile(r'name="csrf" value="(\w+)"')


@pytest.fixture
def tab(server: Server):
    """A browser without a session."""
    with httpx2.Client(
        base_url=server.url,
        timeout=PATIENCE_S,
        trust_env=False,
        headers={"Accept": "text/html", "Origin": server.url, "Sec-Fetch-Site": "same-origin"},
    ) as client:
        yield client


def link(server: Server) -> str:
    return server.http.post("/v1/login-links").json()["path"].partition("code=")[2]


def csrf(tab: httpx2.Client, path: str = "/access") -> str:
    found = CSRF.search(tab.get(path).text)
    assert found
    return found[1]


def test_a_link_is_good_once(server: Server, tab: httpx2.Client) -> None:
    code = link(server)
    assert code in tab.get(f"/login?code={code}").text
    entered = tab.post("/login", data={"code": code, "next": "/packages"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/packages")
    assert COOKIE.fullmatch(entered.headers["set-cookie"]), entered.headers["set-cookie"]
    assert tab.get("/packages").status_code == 200
    assert tab.get("/v1/me").json()["way"] == "session"
    again = httpx2.post(f"{server.url}/login", data={"code": code}, trust_env=False)
    assert again.status_code == 401 and "set-cookie" not in again.headers


def test_the_link_that_is_printed_at_the_start_opens_the_pages(tmp_path) -> None:
    with running(tmp_path / "home") as server:
        code = server.login.partition("code=")[2]
        entered = httpx2.post(f"{server.url}/login", data={"code": code}, trust_env=False)
        assert entered.status_code == 303
        told = server.at_home()
        with told as owner:
            entry = owner.get("/v1/audit?action=session.begin").json()["items"][0]
        assert entry["who"].startswith("local:") and entry["details"] == {"from": "127.0.0.1"}
        assert code not in (tmp_path / "home.log").read_text(), "the log is kept for long"


def test_a_link_is_of_who_asked_for_it_and_ends_with_its_token(
    server: Server, tab: httpx2.Client
) -> None:
    with server.as_(server.token_for("admin")) as admin:
        me = admin.get("/v1/me").json()["principal"]
        code = admin.post("/v1/login-links").json()["path"].partition("code=")[2]
    assert tab.post("/login", data={"code": code}).status_code == 303
    assert tab.get("/v1/me").json()["principal"] == me
    server.http.delete(f"/v1/tokens/{me.partition(':')[2]}")
    assert tab.get("/v1/me").status_code == 401


def test_a_token_logs_in_with_its_own_scopes_and_its_end_ends_the_session(
    server: Server, tab: httpx2.Client
) -> None:
    token = server.token_for("viewer")
    assert tab.post("/login", data={"token": token}).status_code == 303
    me = tab.get("/v1/me").json()
    assert (me["scopes"], me["way"]) == (["viewer"], "session")
    assert tab.get("/access").status_code == 403
    name = me["principal"].partition(":")[2]
    assert server.http.delete(f"/v1/tokens/{name}").status_code == 200
    assert tab.get("/v1/me").status_code == 401


@pytest.mark.parametrize("said", [{"token": "nonsense"}, {"code": "nonsense"}, {}])
def test_what_is_wrong_logs_nobody_in(
    server: Server, tab: httpx2.Client, said: dict[str, str]
) -> None:
    answer = tab.post("/login", data=said)
    assert answer.status_code in {401, 429} and "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    "after", ["https://evil.example/", "//evil.example", "/\\evil.example", ""]
)
def test_one_stays_on_our_own_site(server: Server, tab: httpx2.Client, after: str) -> None:
    entered = tab.post("/login", data={"token": server.token, "next": after})
    assert entered.headers["location"] == "/"


def test_a_form_of_another_origin_or_without_its_secret_changes_nothing(
    server: Server, tab: httpx2.Client
) -> None:
    tab.post("/login", data={"code": link(server)})
    form = {"name": "made-by-form", "scopes": "viewer"}
    assert tab.post("/access/tokens", data=form).json()["code"] == "cross-site"
    assert tab.post("/access/tokens", data={**form, "csrf": "0" * 64}).status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site"}
    right = {**form, "csrf": csrf(tab)}
    assert tab.post("/access/tokens", data=right, headers=foreign).status_code == 403
    assert tab.put("/v1/gate", json={"is_open": False}).status_code == 403
    header = {"X-CSRF-Token": right["csrf"]}
    assert tab.put("/v1/gate", json={"is_open": False}, headers=header).status_code == 200
    made = tab.post("/access/tokens", data=right)
    found = re.search(r"fmh_\w{49}", made.text)
    assert made.status_code == 200 and found
    assert made.headers["cache-control"] == "no-store"
    assert found[0] not in tab.get("/access").text, "it is shown once"
    ended = tab.post("/access/tokens/made-by-form/revoke", data={"csrf": right["csrf"]})
    assert ended.status_code == 303
    assert "revoked" in tab.get("/access").text


def test_one_logs_out_and_is_logged_out_from_elsewhere(server: Server, tab: httpx2.Client) -> None:
    tab.post("/login", data={"code": link(server)})
    assert tab.post("/logout", data={"csrf": csrf(tab)}).status_code == 303
    assert tab.get("/v1/me").status_code == 401
    tab.post("/login", data={"code": link(server)})
    assert tab.get("/v1/me").status_code == 200
    for session in server.http.get("/v1/sessions").json()["items"]:
        assert server.http.delete(f"/v1/sessions/{session['id']}").status_code == 204
    assert tab.get("/v1/me").status_code == 401
    assert tab.get("/").headers["location"] == "/login?next=%2F"


def test_a_session_ends_by_itself(tmp_path) -> None:
    with running(tmp_path / "home", session_s="1") as server:
        answer = httpx2.post(f"{server.url}/login", data={"token": server.token}, trust_env=False)
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        with server.as_(None) as tab:
            server.until("/v1/me", lambda _: tab.get("/v1/me", headers=cookie).status_code == 401)
