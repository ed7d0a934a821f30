"""People and machines whom an OpenID provider vouches for, and what is no proof of anything."""

import base64
import hmac
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from support.key_issuer import KeyIssuer, key_issuer

from runtime.access import oidc_provider
from runtime.access.oidc import Oidc, oidc_of
from runtime.faults.errors import ProviderUnreachable, SettingsRefused
from runtime.settings.door_settings import OidcSettings
from runtime.settings.settings import load
from runtime.values.clock import utc_now

from ..conftest import PATIENCE_S, Server, running

PROVIDER = Path(sys.executable).with_name("oidc-provider-mock")
MAP = '{"ops": ["operator", "viewer"], "lab": "client"}'


@pytest.fixture
def issuer() -> Iterator[KeyIssuer]:
    with key_issuer() as one:
        yield one


def asking(issuer: KeyIssuer, **changes: Any) -> Oidc:
    """Return what an appliance asks of `issuer`."""
    settings = {"issuer": issuer.url, "client_id": "fumehood", "scopes": MAP, **changes}
    return oidc_of(OidcSettings.model_validate(settings), clock=utc_now)


async def test_a_right_token_says_who_and_what(issuer: KeyIssuer) -> None:
    oidc = asking(issuer)
    found = await oidc.principal_of(issuer.token(groups=["ops", "unknown", 7]))
    assert found is not None
    assert (found.name, sorted(found.scopes)) == ("oidc:ana", ["operator", "viewer"])
    several = await oidc.principal_of(issuer.token(aud=["other", "fumehood"], groups="lab"))
    assert several is not None and sorted(several.scopes) == ["client"]
    nobody = await oidc.principal_of(issuer.token(groups=None))
    assert nobody is not None and not nobody.scopes, "known, and may nothing"
    assert issuer.asked == 1


NOW = int(time.time())


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://127.0.0.1:1"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"exp": NOW - 3600},
        {"exp": None},
        {"nbf": NOW + 3600},
        {"iat": NOW + 3600},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\x1b[2J"},
        {"sub": "x" * 300},
        {"azp": "another"},
    ],
    ids=[
        "another-issuer",
        "no-issuer",
        "for-another",
        "for-nobody",
        "expired",
        "no-expiry",
        "not-yet",
        "made-in-the-future",
        "no-subject",
        "empty-subject",
        "subject-steers",
        "long-subject",
        "asked-by-another",
    ],
)
async def test_a_token_that_is_not_for_us_now_is_nothing(
    issuer: KeyIssuer, changes: dict[str, Any]
) -> None:
    assert await asking(issuer).principal_of(issuer.token(**changes)) is None


async def test_clocks_may_be_apart_as_far_as_is_set(issuer: KeyIssuer) -> None:
    now = int(time.time())
    for changes in ({"exp": now - 30}, {"nbf": now + 30}):
        assert await asking(issuer).principal_of(issuer.token(**changes)) is not None
        assert await asking(issuer, leeway_s=0).principal_of(issuer.token(**changes)) is None


def by_public_key(token: str, pem: bytes) -> str:
    """Return `token` signed as by HS256, with what everybody knows as the secret."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"first"}').rstrip(b"=").decode()
    signed = f"{head}.{token.split('.')[1]}"
    signature = hmac.digest(pem, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_a_signature_of_another_kind_or_key_is_nothing(issuer: KeyIssuer) -> None:
    oidc = asking(issuer)
    stranger = RSAKey.generate_key(2048, {"kid": "first"})
    right = issuer.token()
    head, claims, signature = right.split(".")
    none = "eyJhbGciOiJub25lIn0"
    forged = [
        by_public_key(right, issuer.key.as_pem(private=False)),
        issuer.token(stranger),
        issuer.token(alg="RS512"),
        issuer.token(ECKey.generate_key("P-256", {"kid": "first"}), alg="ES256"),
        f"{none}.{claims}.",
        f"{none}.{claims}.{signature}",
        f"{head}.{claims}.",
        f"{head}.{claims}.{signature[:-4]}AAAA",
        f"{head}.{claims}A.{signature}",
        "..",
        "a.b.c",
        "é.é.é",
        f"{right}{'A' * 20_000}",
    ]
    for one in forged:
        assert await oidc.principal_of(one) is None, one[:80]


async def test_a_secret_among_the_public_keys_signs_nothing(issuer: KeyIssuer) -> None:
    secret = OctKey.import_key("0" * 64, {"kid": "secret"})
    issuer.served.append(secret.as_dict(private=True))
    assert await asking(issuer).principal_of(issuer.token(secret, alg="HS256")) is None
    with pytest.raises(ValueError, match="algorithms"):
        asking(issuer, algorithms="HS256")


async def test_keys_are_rotated_and_known_ones_go_on_while_the_provider_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oidc_provider, "AGAIN_S", 0.0)
    second = RSAKey.generate_key(2048, {"kid": "second"})
    with key_issuer() as issuer:
        oidc = asking(issuer)
        assert await oidc.principal_of(issuer.token()) is not None
        assert await oidc.principal_of(issuer.token(second)) is None, "not one of its keys yet"
        issuer.served = [second.as_dict(private=False)]
        assert await oidc.principal_of(issuer.token(second)) is not None
        assert await oidc.principal_of(issuer.token()) is None, "taken back by its provider"
        token, unknown = issuer.token(second), issuer.token()
    assert await oidc.principal_of(token) is not None
    assert await oidc.principal_of(unknown) is None
    with pytest.raises(ProviderUnreachable):
        await asking(issuer).principal_of(token)


async def test_made_up_keys_do_not_make_us_ask_the_provider(issuer: KeyIssuer) -> None:
    oidc = asking(issuer)
    for number in range(20):
        made_up = RSAKey.generate_key(2048, {"kid": f"made-up-{number}"})
        assert await oidc.principal_of(issuer.token(made_up)) is None
    assert issuer.asked == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"issuer": "http://login.example"}, "https"),
        ({"issuer": "https://login.example"}, "client_id is missing"),
        ({"scopes": '{"ops": "root"}'}, "scopes"),
        ({"algorithms": "none"}, "algorithms"),
    ],
)
def test_a_provider_that_cannot_be_right_is_refused(said: dict[str, str], told: str) -> None:
    environ = {f"FUMEHOOD_OIDC__{name.upper()}": value for name, value in said.items()}
    with pytest.raises(SettingsRefused) as refused:
        load({}, environ=environ)
    assert any(told in one.what or told in one.where for one in refused.value.problems)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def provider(port: int) -> Iterator[str]:
    """Offer a real provider; each has keys of its own."""
    user = '{"sub": "ana", "groups": ["ops"]}'
    process = subprocess.Popen(
        [PROVIDER, "--port", str(port), "--user-claims", user],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                httpx2.get(f"{url}/.well-known/openid-configuration", trust_env=False)
                break
            except httpx2.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def at_provider(place: str) -> str:
    """Log in at the provider as ana; return where it sends the browser."""
    answer = httpx2.post(place, data={"sub": "ana"}, trust_env=False)
    assert answer.status_code in {302, 303}, answer.text
    return answer.headers["location"]


def logged_in(server: Server, tab: httpx2.Client) -> httpx2.Response:
    """Log in by way of the provider; return the page that one comes back to."""
    gone = tab.get("/login/oidc?next=/packages")
    assert gone.status_code == 303, gone.text
    assert re.search(r"samesite=lax", gone.headers["set-cookie"], re.IGNORECASE)
    assert "code_challenge_method=S256" in gone.headers["location"]
    return tab.get(at_provider(gone.headers["location"]))


def test_a_person_logs_in_at_a_real_provider(tmp_path: Path) -> None:
    port = free_port()
    settings = {
        "oidc__issuer": f"http://127.0.0.1:{port}",
        "oidc__client_id": "fumehood",
        "oidc__client_secret": "shared",
        "oidc__scopes": MAP,
    }
    with provider(port), running(tmp_path / "home", **settings) as server:
        with server.as_(None) as tab:
            assert "Log in at 127.0.0.1" in tab.get("/login").text
            back = logged_in(server, tab)
            assert back.status_code == 200, "a page of ours: a redirect would lose the cookie"
            assert 'url=/packages"' in back.text and "oidc:ana" in back.text
            me = tab.get("/v1/me").json()
            assert (me["principal"], me["scopes"]) == ("oidc:ana", ["operator", "viewer"])
            assert tab.get("/access").status_code == 403
            assert tab.get(str(back.url)).status_code in {401, 429}, "a code is good once"
        with server.as_(None) as stranger:
            gone = stranger.get("/login/oidc")
            place = at_provider(gone.headers["location"])
        with server.as_(None) as other:
            answer = other.get(place)
            assert answer.status_code in {401, 429}, "begun in another browser"
            assert "set-cookie" not in answer.headers
        entry = server.http.get("/v1/audit?action=session.begin").json()["items"][0]
        assert entry["who"] == "oidc:ana"
        server.http.cookies.clear()
        with server.as_(None) as late:
            begun = late.get("/login/oidc")
    with running(tmp_path / "home", **settings) as server, server.as_(None) as tab:
        away = tab.get("/login/oidc")
        assert (away.status_code, away.json()["code"]) == (503, "provider-unreachable")
        assert server.http.get("/v1/me").status_code == 200, "tokens of ours go on"
        with provider(port):
            assert logged_in(server, tab).status_code == 200, "with its new keys"
    assert begun.status_code == 303


def test_a_machine_comes_with_a_signed_token(tmp_path: Path) -> None:
    with key_issuer() as issuer:
        settings = {
            "oidc__issuer": issuer.url,
            "oidc__client_id": "fumehood",
            "oidc__scopes": MAP,
        }
        with running(tmp_path / "home", **settings) as server:
            with server.as_(issuer.token()) as machine:
                me = machine.get("/v1/me").json()
                assert (me["principal"], me["way"]) == ("oidc:ana", "oidc")
                assert machine.get("/v1/jobs").status_code == 200
                assert machine.get("/v1/tokens").status_code == 403
                assert "ratelimit" in machine.get("/v1/me").headers
            with server.as_(issuer.token(exp=1)) as machine:
                answer = machine.get("/v1/me")
                assert (answer.status_code, answer.json()["code"]) == (401, "wrong-token")
