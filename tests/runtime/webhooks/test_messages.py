"""Who may be told, in which form, and when it is tried again."""

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.servers import serving

from runtime.jobs.webhooks.telling import Messenger
from runtime.values.around.webhooks import (
    TRIES_AFTER_S,
    Delivery,
    DeliveryState,
    Tried,
    after_try,
    by_host,
    judge_url,
    secret_of,
    signature,
)
from sandbox.network_rules import NetworkRules

from ..conftest import NOON

RULES = NetworkRules(hosts=("hooks.example.org", "*.example.net"), ports=(443, 8443))


def delivery(url: str = "https://hooks.example.org/jobs") -> Delivery:
    return Delivery(
        id="msg_1",
        place="1",
        kind="job.ended",
        owner="ana",
        package="hello",
        job_id="j",
        url=url,
        body='{"type": "job.ended"}',
        at=NOON,
        due_at=NOON,
    )


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://hooks.example.org/jobs?x=1", None),
        ("https://a.b.example.net:8443/", None),
        ("https://other.example.org/", "host-not-allowed"),
        ("https://hooks.example.org:8080/", "host-not-allowed"),
        ("https://hooks.example.org.evil.example/", "host-not-allowed"),
        ("https://user:pw@hooks.example.org/", "login-in-address"),
        ("https://hooks.example.org/#a", "login-in-address"),
        ("https://127.0.0.1/", "host-not-allowed"),
        ("https://[::1]/", "host-not-allowed"),
        ("https://2130706433/", "host-not-allowed"),
        ("https://0x7f.1/", "host-not-allowed"),
        ("ftp://hooks.example.org/", "no-address"),
        ("file:///etc/passwd", "no-address"),
        ("https:///nowhere", "no-address"),
        ("https://hooks.example.org:99999/", "no-address"),
        ("https://hooks.example.org/a b", "no-address"),
        ("https://hooks.example.org/" + "x" * 2000, "no-address"),
        ("", "no-address"),
    ],
)
def test_only_the_admins_hosts_may_be_told(url: str, code: str | None) -> None:
    found = [one.code for one in judge_url(url, rules=RULES)]
    assert found == ([code] if code else [])
    off = [one.code for one in judge_url(url, rules=NetworkRules())]
    assert off, "where no host is named nobody may be told"


def test_a_signature_is_that_of_standard_webhooks() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks (its test vectors)."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = '{"test": 2432232314}'
    signed = signature(secret, message="msg_p5jXN8AQM9LWM0D4loKWxJek", at=1614265330, body=body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_principal_has_a_secret_of_its_own() -> None:
    ana, bob = (secret_of(b"master", owner=owner) for owner in ("ana", "bob"))
    assert ana != bob and ana == secret_of(b"master", owner="ana")
    key = base64.b64decode(ana.removeprefix("whsec_"))
    assert len(key) == 32
    told = signature(ana, message="m", at=1, body="b")
    own = base64.b64encode(hmac.new(key, b"m.1.b", hashlib.sha256).digest()).decode()
    assert told == f"v1,{own}"


TRIED = st.builds(
    Tried,
    status=st.none() | st.integers(100, 599),
    error=st.sampled_from(["", "no answer"]),
    is_final=st.booleans(),
)


@given(st.lists(TRIED, min_size=1, max_size=15))
def test_a_delivery_is_tried_for_a_while_and_ends_once(tries: list[Tried]) -> None:
    one = delivery()
    for number, tried in enumerate(tries, start=1):
        one = replace(one, **after_try(one, tried, at=NOON + timedelta(seconds=number)))
        assert one.tries == number
        if one.state is not DeliveryState.WAITING:
            break
        assert one.due_at > NOON + timedelta(seconds=number)
    assert one.tries <= len(TRIES_AFTER_S) + 1
    if one.state is DeliveryState.DELIVERED:
        assert one.status is not None and one.status // 100 == 2 and not one.error
    assert (one.ended_at is None) == (one.state is DeliveryState.WAITING)


def test_a_host_is_the_same_however_it_is_spelled() -> None:
    urls = ("https://a.example/", "https://A.example:443/x", "https://b.example/")
    found = by_host([replace(delivery(url), id=url) for url in urls])
    assert {host: len(all_of) for host, all_of in found.items()} == {"a.example": 2, "b.example": 1}


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.0.0.1"],
        ["192.168.1.1"],
        ["169.254.169.254"],
        ["fe80::1"],
        ["fd00::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["100.100.100.200"],
        ["0.0.0.0"],
        ["93.184.215.14", "127.0.0.1"],
    ],
    ids=" ".join,
)
async def test_a_name_that_leads_to_a_private_address_is_refused_for_good(
    found: list[str],
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return found

    one = Messenger(rules=RULES, resolve=resolve)
    tried = await one.send(delivery(), secret="whsec_AAAA")
    assert tried.is_final and tried.status is None and "may not be told" in tried.error


async def test_what_was_judged_is_what_is_connected_to() -> None:
    """A name that leads elsewhere at a second look is not looked up twice."""
    asked: list[str] = []
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    heard: list[bytes] = []

    def answer(connection: object) -> None:
        heard.append(connection.recv(65536))  # pyright: ignore[reportAttributeAccessIssue]
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n")  # pyright: ignore[reportAttributeAccessIssue]

    with serving(answer) as port:
        rules = NetworkRules(hosts=("hooks.example.org",), ports=(port,), private=("127.0.0.0/8",))
        one = Messenger(rules=rules, resolve=resolve)
        url = f"http://hooks.example.org:{port}/jobs"
        tried = await one.send(delivery(url), secret="whsec_AAAA")
    assert asked == ["hooks.example.org"]
    assert f"host: hooks.example.org:{port}".encode() in heard[0].lower()
    assert tried.status == 302 and "redirects" in tried.error and len(heard) == 1
