"""An admin may let anybody read; how often a token asks, how long a session rests, what is noted."""

import json
from pathlib import Path

from ..conftest import run_command, running


def test_anybody_reads_and_every_page_says_so(tmp_path: Path) -> None:
    settings = {"anonymous_reads": "true", "requests_per_minute": "60"}
    with running(tmp_path / "home", **settings) as server, server.as_(None) as anybody:
        assert anybody.get("/v1/me").json() == {
            "principal": "anonymous",
            "scopes": ["viewer"],
            "packages": [],
            "way": "open-door",
        }
        assert anybody.get("/v1/jobs").status_code == 200
        assert anybody.get("/v1/tokens").status_code == 403
        assert anybody.get("/v1/audit").status_code == 403
        assert anybody.post("/v1/jobs", json={"package": "counts-words"}).status_code == 401
        assert anybody.put("/v1/gate", json={"is_open": False}).status_code == 401
        for page in ("/", "/packages", "/docs"):
            assert "lets anybody read" in anybody.get(page).text, page
        last = [anybody.get("/healthz") for _ in range(60)][-1]
        assert last.status_code == 429, "by address, as nobody has a name"
    assert "whoever reaches the port reads" in (tmp_path / "home.log").read_text()


def test_a_token_asks_as_often_as_it_may_itself(tmp_path: Path) -> None:
    with running(tmp_path / "home", session_idle_s="1") as server:
        made = server.command(
            "token", "create", "slow", "--scope", "viewer", "--rate", "3", "--json"
        )
        with server.as_(json.loads(made.stdout)["token"]) as slow:
            answers = [slow.get("/v1/me") for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"minute";q=3;w=60'
        assert server.http.get("/v1/tokens/slow").json()["requests_per_minute"] == 3


def test_a_session_that_rests_too_long_is_over(tmp_path: Path) -> None:
    with running(tmp_path / "home", session_idle_s="1") as server:
        answer = server.http.post("/login", data={"token": server.token})
        server.http.cookies.clear()
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        server.until("/v1/sessions", lambda page: not page["items"])
        with server.as_(None) as tab:
            assert tab.get("/v1/me", headers=cookie).status_code == 401


def test_the_start_and_its_settings_and_the_end_are_written_down(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, drain_s="7", secrets__api="hush-hush", index__password="hush-too"):
        pass
    told = run_command("audit", "export", environ={"FUMEHOOD_HOME": str(home)}).stdout
    entries = [json.loads(line) for line in told.splitlines()]
    started = next(one for one in entries if one.get("action") == "appliance.start")
    assert started["details"]["settings"]["drain_s"] == 7.0
    assert "API" in started["details"]["settings"]["secrets"] and "hush" not in told
    assert started["who"].startswith("local:")
    assert any(one.get("action") == "worker.drain" for one in entries)
    assert run_command("audit", "verify", environ={"FUMEHOOD_HOME": str(home)}).returncode == 0
