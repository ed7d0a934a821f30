"""An operation on its way out says so with each answer, and in the description."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from runtime.http import app
from runtime.http.entrance import deprecation
from runtime.http.entrance.deprecation import Deprecation
from runtime.settings.settings import Settings
from runtime.telemetry.tally import Tally


@pytest.fixture
def going(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """The application, with one operation that is on its way out."""
    gone = Deprecation(
        since=datetime(2026, 12, 1, tzinfo=UTC),
        sunset=datetime(2027, 6, 1, tzinfo=UTC),
        successor="/readyz",
    )
    monkeypatch.setattr(deprecation, "DEPRECATED", {"GET /healthz": gone})
    access = SimpleNamespace(names=frozenset(), is_open_to_read=False, oidc=None)
    return app.make_app(
        SimpleNamespace(
            access=access,
            settings=Settings(home=tmp_path),
            store=None,
            meter=SimpleNamespace(tally=Tally()),
        )
    )


async def test_it_is_told_since_when_until_when_and_what_is_instead(going: Any) -> None:
    transport = httpx2.ASGITransport(app=going)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/healthz")
        other = await client.get("/login/oidc")
    assert answer.headers["deprecation"] == "@1796083200"
    assert answer.headers["sunset"] == "Tue, 01 Jun 2027 00:00:00 GMT"
    assert answer.headers["link"] == '</readyz>; rel="successor-version"'
    assert "deprecation" not in other.headers
    described = going.openapi()["paths"]
    assert described["/healthz"]["get"]["deprecated"] is True
    assert "deprecated" not in described["/readyz"]["get"]
