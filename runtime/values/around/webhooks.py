"""Webhooks: who is told of which ends, in which form, and when it is tried again. Pure.

After the Standard Webhooks specification (https://www.standardwebhooks.com): the id of a message
stays the same over all tries, and its signature covers id, time and body.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

from frozen.values import frozen
from runtime.values.access import Sight, is_bound_to
from runtime.values.records import JsonObject
from runtime.values.states import State
from sandbox.network_rules import NetworkRules
from wheelhouse.problem import Problem, shown

MOST_URL_CHARS = 2000
TRIES_AFTER_S = (5, 30, 120, 600, 3600, 6 * 3600, 24 * 3600)
"""After each try the wait for the next one; then it is given up, and can be replayed."""
MOST_OF_ONE_HOST = 4
"""Tries at a time: a host that does not answer must not hold back those that do."""
SCHEMES = {"https": 443, "http": 80}


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


type Event = Literal["job.ended", "batch.ended"]


@frozen
class Webhook:
    """Whom to tell when jobs of a package end in some states: its owner's, or all in sight."""

    id: str
    owner: str
    url: str
    package: str
    states: tuple[State, ...]
    sight: Sight
    at: datetime

    def is_for(self, *, owner: str, package: str) -> bool:
        """Return whether jobs of `owner`, of `package`, are its subject."""
        in_sight = self.sight.includes(owner=owner, package=package)
        return in_sight and is_bound_to((self.package,), package)


@frozen
class Delivery:
    """One message to one address, and how its tries went."""

    id: str
    place: str
    kind: str
    owner: str
    package: str
    job_id: str | None
    url: str
    body: str
    at: datetime
    due_at: datetime
    host: str = ""
    """By what deliveries wait for each other: see host_of."""
    state: DeliveryState = DeliveryState.WAITING
    tries: int = 0
    status: int | None = None
    error: str = ""
    ended_at: datetime | None = None


@frozen
class Tried:
    """What came of one try: a status, or why there is none."""

    status: int | None = None
    error: str = ""
    is_final: bool = False
    """No other try will come to anything else: the address is refused, or says it is gone."""

    @property
    def is_taken(self) -> bool:
        """Return whether the receiver took it: any status from 200 to 299."""
        return self.status is not None and 200 <= self.status < 300


def after_try(delivery: Delivery, tried: Tried, *, at: datetime) -> dict[str, object]:
    """Return what changes in a delivery after a try: it is over, or due again later."""
    tries = delivery.tries + 1
    told: dict[str, object] = {"tries": tries, "status": tried.status, "error": tried.error}
    if tried.is_taken:
        return told | {"state": DeliveryState.DELIVERED, "ended_at": at, "error": ""}
    if tried.is_final or tried.status == 410 or tries > len(TRIES_AFTER_S):
        return told | {"state": DeliveryState.FAILED, "ended_at": at}
    return told | {"due_at": at + timedelta(seconds=TRIES_AFTER_S[tries - 1])}


def host_of(url: str) -> str:
    """Return whom a URL means, however it is spelled.

    >>> host_of("https://Hooks.example.org:443/a"), host_of("https://hooks.example.org/b")
    ('hooks.example.org', 'hooks.example.org')
    """
    return urlsplit(url).hostname or ""


def by_host(due: Iterable[Delivery]) -> dict[str, list[Delivery]]:
    """Return what is due by the host that it goes to; these wait for each other, and no others."""
    found: dict[str, list[Delivery]] = {}
    for delivery in due:
        found.setdefault(host_of(delivery.url), []).append(delivery)
    return found


def message_id(*parts: object) -> str:
    """Return the id of a message: the same for the same end, told to the same address.

    >>> message_id("https://a.example/", "job", 1) == message_id("https://a.example/", "job", 1)
    True
    """
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    return f"msg_{digest[:32]}"


def secret_of(master: bytes, *, owner: str) -> str:
    """Return the secret of a principal, which it verifies signatures with (whsec_…)."""
    derived = hmac.digest(master, f"fumehood webhooks of {owner}".encode(), "sha256")
    return "whsec_" + base64.b64encode(derived).decode()


def signature(secret: str, *, message: str, at: int, body: str) -> str:
    """Return the signature of a message in the form of Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.digest(key, f"{message}.{at}.{body}".encode(), "sha256")
    return "v1," + base64.b64encode(signed).decode()


def judge_url(url: str, *, rules: NetworkRules) -> tuple[Problem, ...]:
    """Return why nobody may be told at `url`; nothing where somebody may."""
    return tuple(_faults(url, rules=rules))


def _faults(url: str, *, rules: NetworkRules) -> Iterator[Problem]:
    mend = "an admin names the hosts that may be told: the setting `webhooks.hosts`"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or SCHEMES.get(parts.scheme, 0)
    except ValueError:
        parts, host, port = urlsplit(""), "", 0
    if parts.scheme not in SCHEMES or not host or len(url) > MOST_URL_CHARS:
        example = "such as https://hooks.example.org/jobs"
        yield _fault("no-address", f"{shown(url)!r} is no address of the web", example)
        return
    if parts.username is not None or parts.fragment:
        what = "it has a login or a fragment in it"
        yield _fault("login-in-address", what, "verify the signature instead; leave them out")
    if any(not 0x20 < ord(char) < 0x7F for char in url):
        what = "it has characters that an address cannot have"
        yield _fault("no-address", what, "write them as %XX")
    if not rules.hosts:
        yield _fault("webhooks-off", "no host may be told by webhooks here", mend)
    elif why := rules.refusal(host, port):
        yield _fault("host-not-allowed", why, mend)


def _fault(code: str, what: str, mend: str) -> Problem:
    return Problem(code=code, what=what, where="webhook", mend=mend)


def body_of(event: Event, *, at: str, data: JsonObject) -> JsonObject:
    """Return the body of a message: its type, its time, and what it is about."""
    return {"type": event, "timestamp": at, "data": dict(data)}
