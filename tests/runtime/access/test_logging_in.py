"""A browser logs in by a token or a link that is good once, and is logged out from elsewhere."""

import html
import json
import re

import httpx2
import pytest

from ..conftest import PATIENCE_S, Server, running, zipped

COOKIE = re.compile(r"fumehood=[\w-]{43}; HttpOnly; Max-Age=43200; Path=/; SameSite=strict")
TEXT = re.compile(r"fmh_\w{49}")
LINES = 40
STORY = {
    "manifest.json": json.dumps({"schema": 1, "name": "slow-story", "version": "1.0"}),
    "extract.py": f"""
import time


def extract(*, job, **_):
    for number in range({LINES}):
        print("line", number, flush=True)
        time.sleep(0.2)
""",
}
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


@pytest.fixture(scope="session")
def story(server: Server) -> Server:
    """The server with a package that speaks for eight seconds."""
    assert server.activate(zipped("counts-words", changes=STORY))["state"] == "succeeded"
    return server


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


def test_a_token_is_made_with_its_end_and_rate_and_rotated_on_the_page(
    server: Server, tab: httpx2.Client
) -> None:
    tab.post("/login", data={"code": link(server)})
    shown = {"csrf": csrf(tab)}
    order = {"name": "by-page", "scopes": "viewer", "days": "30", "rate": "7"}
    made = TEXT.search(tab.post("/access/tokens", data=shown | order).text)
    told = server.http.get("/v1/tokens/by-page").json()
    assert (told["requests_per_minute"], told["expires_at"] > told["created_at"]) == (7, True)
    form = re.search(r"by-page/rotate.*?name=\"seen\" value=\"([^\"]+)", tab.get("/access").text)
    assert made and form
    seen = shown | {"seen": html.unescape(form[1]), "hours": "0"}
    rotated = TEXT.search(tab.post("/access/tokens/by-page/rotate", data=seen).text)
    assert rotated and rotated[0] != made[0]
    again = tab.post("/access/tokens/by-page/rotate", data=seen)
    assert again.status_code == 412, "a second click would end what the first has shown"
    assert tab.post("/access/tokens/by-page/rotate", data=shown).status_code == 428
    with server.as_(made[0]) as former, server.as_(rotated[0]) as latter:
        assert (former.get("/v1/me").status_code, latter.get("/v1/me").status_code) == (401, 200)
    for wrong in ({"days": "x"}, {"days": "-1"}, {"rate": "0"}, {"days": "0"}):
        answer = tab.post("/access/tokens", data=shown | order | {"name": "b2"} | wrong)
        assert answer.status_code == 422, wrong


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_a_log_that_is_followed_ends_with_the_token(story: Server, accept: str) -> None:
    """What a package says after its reader was shut out is not for that reader."""
    token = story.token_for("viewer")
    job = story.submit("slow-story").json()["id"]
    with (
        story.as_(token) as viewer,
        viewer.stream(
            "GET", f"/v1/jobs/{job}/events", params={"follow": "true"}, headers={"Accept": accept}
        ) as followed,
    ):
        lines = followed.iter_lines()
        assert any("line 1" in line for line in lines)
        name = viewer.get("/v1/me").json()["principal"].partition(":")[2]
        assert story.http.delete(f"/v1/tokens/{name}").status_code == 200
        rest = [line for line in lines if "line " in line]
    assert len(rest) < LINES / 2, "it was told to the end, or nearly"
    assert story.http.post(f"/v1/jobs/{job}/cancel").status_code in {200, 202, 409}


def test_a_session_ends_by_itself(tmp_path) -> None:
    with running(tmp_path / "home", session_s="1") as server:
        answer = httpx2.post(f"{server.url}/login", data={"token": server.token}, trust_env=False)
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        with server.as_(None) as tab:
            server.until("/v1/me", lambda _: tab.get("/v1/me", headers=cookie).status_code == 401)
