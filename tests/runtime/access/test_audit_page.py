"""The page of the audit log: for admins, the last act first, and nothing of it is believed."""

import pytest

from ..conftest import Server


def page(server: Server, query: str = "") -> str:
    answer = server.http.get(f"/audit{query}", headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_what_was_done_is_on_the_page_with_who_did_it(server: Server) -> None:
    reason = "<b>for the <script>alert(1)</script> page</b>"
    order = {"is_open": True, "minutes": 5, "reason": reason}
    opened = server.http.put("/v1/gate", json=order)
    assert opened.status_code == 200, opened.text
    server.http.put("/v1/gate", json={"is_open": False, "reason": "done"})
    told = page(server)
    assert "gate.open" in told and "token:tests-" in told
    assert "<script>alert(1)" not in told and "&lt;script&gt;alert(1)" in told
    assert told.index("gate.close</a>") < told.index("gate.open</a>")
    only = page(server, "?action=gate.open")
    assert "gate.open" in only and "gate.close</a>" not in only
    assert "Nothing yet of this act" in page(server, "?action=nothing.such")


def test_older_entries_are_a_page_further(server: Server) -> None:
    for number in range(60):
        server.http.post("/v1/tokens", json={"name": f"audited-{number}", "scopes": ["viewer"]})
    first = page(server, "?action=token.create")
    assert "audited-59" in first and "audited-0<" not in first
    link = first.partition('href="/audit?cursor=')[2].partition('"')[0].replace("&amp;", "&")
    assert "audited-0<" in page(server, f"?cursor={link}")


@pytest.mark.parametrize("scope", ["author", "client", "viewer", "operator"])
def test_nobody_but_an_admin_sees_it(server: Server, scope: str) -> None:
    with server.as_(server.token_for(scope)) as client:
        assert client.get("/audit", headers={"Accept": "text/html"}).status_code == 403
