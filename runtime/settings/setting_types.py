"""Types and groups of settings, each read strictly: rules, hosts, networks, index, locks."""

import ipaddress
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    field_validator,
)

from runtime.values.when.keys import is_key
from runtime.values.when.line import HIGHEST, LOWEST
from sandbox.network_rules import MOST_PORTS, NetworkRules, check_host, check_port

NAMES = re.compile(r"[A-Za-z0-9*][A-Za-z0-9._*-]*")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
DATABASE = re.compile(r"(postgresql|postgres)(\+asyncpg)?://")
BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]*[a-z0-9](/[A-Za-z0-9._/-]*)?")
LABEL = re.compile(r"[a-z][a-z0-9-]{0,39}")
SECRET_NAME = re.compile(r"pass|secret|token|key", re.IGNORECASE)
AGE = re.compile(r"(?P<number>\d{1,4})(?P<unit>[dh])")


def items_of(value: object) -> object:
    """Take a text, as an environment variable holds it, for a JSON list or words."""
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.lstrip().startswith("[") else value.split()


def _rule(text: str) -> str:
    """Return `text` if it names a distribution, or versions of one; raise ValueError."""
    try:
        rule = Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(f"{text!r} is not a requirement, such as urllib3<2 or six") from error
    if rule.url or rule.marker or rule.extras:
        raise ValueError(f"{text!r} may have a name and versions only, such as urllib3<2 or six")
    return text


def _place(text: str) -> str:
    """Return `text` if it is a host, or a host and a port; raise ValueError."""
    host, _, port = text.rpartition(":")
    if host and port.isdecimal() and "*" not in host:
        check_port(int(port))
        return f"{check_host(host)}:{port}" if not _is_address(host) else text
    if "*" in text:
        raise ValueError(f"{text!r} has to be one host: what is below a name is others' to choose")
    return text if _is_address(text) else check_host(text)


def _called(text: str) -> str:
    """Return `text` if it is a host, without port or wildcard; raise ValueError."""
    if "*" in text:
        raise ValueError(f"{text!r} has to be one host: what is below a name is others' to choose")
    return text if _is_address(text) else check_host(text)


def _origin(text: str) -> str:
    """Return `text` if it is the origin of a site, as browsers write it; raise ValueError."""
    if ORIGIN.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no origin, such as https://dashboard.example")
    return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _pattern(text: str) -> str:
    """Return `text` if it names distributions, as six or acme-*; raise ValueError."""
    if not NAMES.fullmatch(text):
        raise ValueError(f"{text!r} is no name, or pattern of names, such as acme-*")
    return canonicalize_name(text)


def _key(text: str) -> str:
    """Return `text` if it can be the key of a rule; raise ValueError."""
    if not is_key(text):
        raise ValueError(f"{text!r} is none of package, principal and parameters.NAME")
    return text


def _network(text: str) -> str:
    """Return `text` if it is an address or a network; raise ValueError."""
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no address or network, such as 10.1.0.0/16") from error
    return text


def _newest(value: object) -> object:
    """Return the moment or the age that `value` says; raise ValueError."""
    if isinstance(value, str):
        if found := AGE.fullmatch(value):
            number = int(found["number"])
            return timedelta(days=number) if found["unit"] == "d" else timedelta(hours=number)
        value = _moment(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = _moment(value.isoformat())
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    if value is None or isinstance(value, datetime | timedelta):
        return value
    raise ValueError(f"{value} is neither a moment, such as 2026-11-01T12:00:00Z, nor an age: 7d")


def _moment(text: str) -> object:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


type Rules = Annotated[tuple[Annotated[str, AfterValidator(_rule)], ...], BeforeValidator(items_of)]
"""Requirements; from an environment variable, as words or as a JSON list."""

type Newest = Annotated[datetime | timedelta | None, BeforeValidator(_newest)]
"""A moment, UTC where it does not say, or an age such as 7d or 36h."""

type OwnNames = Annotated[
    tuple[Annotated[str, AfterValidator(_called)], ...], BeforeValidator(items_of)
]
"""Names of this appliance; from an environment variable, as words or as a JSON list."""

type Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(items_of)
]
"""Origins of other sites; from an environment variable, as words or as a JSON list."""


def _label(text: str) -> str:
    """Return `text` if it can be a label of a worker; raise ValueError."""
    if not LABEL.fullmatch(text):
        raise ValueError(f"{text!r} has to be lower-case letters, digits and hyphens, such as gpu")
    return text


type Labels = Annotated[
    tuple[Annotated[str, AfterValidator(_label)], ...], BeforeValidator(items_of)
]
"""Labels of a worker; from an environment variable as rules are."""

type Hosts = Annotated[
    tuple[Annotated[str, AfterValidator(check_host)], ...], BeforeValidator(items_of)
]
"""Names of hosts, or patterns of them; from an environment variable as rules are."""

type Places = Annotated[
    tuple[Annotated[str, AfterValidator(_place)], ...], BeforeValidator(items_of)
]
"""Hosts, each with a port or not; from an environment variable as rules are."""

type Names = Annotated[
    tuple[Annotated[str, AfterValidator(_pattern)], ...], BeforeValidator(items_of)
]
"""Names of distributions, or patterns of them; from an environment variable as rules are."""

type Ports = Annotated[
    tuple[Annotated[int, AfterValidator(check_port)], ...],
    BeforeValidator(items_of),
    Field(max_length=MOST_PORTS),
]
"""Ports of TCP; from an environment variable as rules are."""

type Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(items_of)
]
"""Addresses and networks; from an environment variable as rules are."""


def without_login(url: str) -> str:
    """Return `url` as people may see it: a login in it is masked like any other secret."""
    scheme, is_address, rest = url.partition("://")
    if not is_address:
        return url
    # The last @ before the query: a password may have a slash or an @ that nobody has quoted.
    place, is_query, query = rest.partition("?")
    login, is_login, host = place.rpartition("@")
    shown = f"**********@{host}" if is_login and login else place
    pairs = [
        f"{name}=**********" if SECRET_NAME.search(name) else name + equals + value
        for name, equals, value in (pair.partition("=") for pair in query.split("&"))
    ]
    return f"{scheme}://{shown}" + (f"?{'&'.join(pairs)}" if is_query else "")


def _database(url: str) -> str:
    """Return `url` if it is empty, or of a PostgreSQL; raise ValueError."""
    if url and not DATABASE.match(url):
        raise ValueError("it has to be as postgresql://user@host/name, or empty for a file")
    return url


def _bucket(url: str) -> str:
    """Return `url` if it is empty, or of a bucket; raise ValueError."""
    if url and not BUCKET.match(url):
        raise ValueError("it has to be as s3://bucket or s3://bucket/folder, or empty")
    return url


type BucketUrl = Annotated[str, AfterValidator(_bucket)]
type DatabaseUrl = Annotated[
    str, AfterValidator(_database), PlainSerializer(without_login, when_used="json")
]


class IndexSettings(BaseModel):
    """The package index behind the gate. HTTPS_PROXY and SSL_CERT_FILE are its defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, PlainSerializer(without_login, when_used="json")] = ""
    username: SecretStr = SecretStr("")
    password: SecretStr = SecretStr("")
    ca_bundle: Path | None = None
    proxy: SecretStr = SecretStr("")
    hosts: Places = ()
    """Further hosts (files.example.org, or with a port) that its pages may lead to."""
    private: Networks = ()
    """Addresses and networks that these hosts may have although they are not public."""
    page_mb: Annotated[int, Field(ge=1)] = 64
    """The longest page, in MiB, as it is unpacked."""
    page_s: Annotated[float, Field(gt=0)] = 120.0
    lock_mb: Annotated[int, Field(ge=1)] = 1024
    """All pages of one lock together, in MiB."""
    lock_s: Annotated[float, Field(gt=0)] = 600.0
    wheel_mb: Annotated[int, Field(ge=1)] = 4096
    wheel_s: Annotated[float, Field(gt=0)] = 7200.0
    least_kb_s: Annotated[int, Field(ge=0)] = 4
    """What comes slower than that, for twenty seconds, is given up."""


class KeySettings(BaseModel):
    """A rule for jobs with the same key: `most` at a time, or `most` starts in `per_s` seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: Annotated[str, AfterValidator(_pattern)] = "*"
    """A name of a package, or a prefix with `*`."""
    key: Annotated[str, AfterValidator(_key)]
    most: Annotated[int, Field(ge=1)]
    per_s: Annotated[float, Field(ge=0)] = 0.0


type KeyRules = Annotated[tuple[KeySettings, ...], BeforeValidator(items_of)]
"""Rules for keys; from an environment variable, as a JSON list."""


class DispatchSettings(BaseModel):
    """The admin's rules for which job runs when; a rule here goes before a manifest's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retry_attempts: Annotated[int, Field(ge=1)] = 10
    """How often a job may be run, at most, whose package failed."""
    retry_backoff_s: Annotated[float, Field(ge=0)] = 3600.0
    """The longest first wait between two of these, which doubles each time."""
    priority_most: Annotated[int, Field(ge=LOWEST, le=HIGHEST)] = HIGHEST
    """The highest priority that a caller may ask for."""
    phase_s: Annotated[float, Field(gt=0)] = 3600.0
    """How long an attempt may take to bring its environment in sight, or to keep its outputs."""
    schedules_most: Annotated[int, Field(ge=0)] = 1000
    """How many schedules one principal may have."""
    concurrency: KeyRules = ()
    """How many jobs with the same key run at a time."""
    rates: KeyRules = ()
    """How fast jobs with the same key start."""

    @field_validator("rates")
    @classmethod
    def _are_rates(cls, rules: tuple[KeySettings, ...]) -> tuple[KeySettings, ...]:
        """Refuse a rate that does not say in how many seconds."""
        if any(not rule.per_s for rule in rules):
            raise ValueError("a rate says in how many seconds: per_s")
        return rules


class LockSettings(BaseModel):
    """The admin's rules for locks: a cooldown, lists of requirements, known advisories."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exclude_newer: Newest = None
    """Nothing that the index got later, or is younger than that (7d, 36h)."""
    allow: Rules = ()
    """If not empty, only these distributions may be locked."""
    deny: Rules = ()
    """These distributions, or these versions of them, may not."""
    wheelhouse_names: Names = ()
    """Names or patterns (acme-*) never taken from the index; nor are names of uploaded wheels."""
    shared_names: Names = ()
    """Names that may come from the index although some of their wheels were uploaded."""
    advisories: Literal["warn", "refuse"] = "warn"
    """What to do with a wheel that an imported advisory names."""
    records: Literal["note", "refuse"] = "note"
    """What to do with a wheel that was published with a wrong RECORD."""
    wheels: Annotated[int, Field(ge=1)] = 2_000
    wheels_mb: Annotated[int, Field(ge=1)] = 32_768
    """How many wheels one lock may have, and how many MiB together."""


class WebhookSettings(BaseModel):
    """Whom webhooks may tell; nobody where no host is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: Hosts = ()
    """Names, *.example.org, or * for any public host."""
    ports: Ports = (443,)
    private: Networks = ()
    """Private addresses and networks that these hosts may have all the same."""
    secret: SecretStr = SecretStr("")
    """What the secrets of principals are derived from; where it is empty, the home has one."""
    ca_bundle: Annotated[str, Field(description="A file of CA certificates.")] = ""

    def rules(self) -> NetworkRules:
        """Return whom webhooks may reach."""
        return NetworkRules(hosts=self.hosts, ports=self.ports, private=self.private)


def _table(value: object) -> object:
    """Take a text, as an environment variable holds it, for a JSON object."""
    return json.loads(value) if isinstance(value, str) else value


class TelemetrySettings(BaseModel):
    """What is seen from outside: who may scrape, how logs are written, where traces go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: Literal["token", "open"] = "token"
    """Who may read /metrics: a viewer, an operator or an admin by a token, or anybody."""
    packages_most: Annotated[int, Field(ge=1, le=10_000)] = 200
    """How many packages have a series of their own; the others are one."""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """From which level on the appliance itself is heard; libraries are from `warning` on."""
    log_most: Annotated[int, Field(ge=1)] = 20
    """How many lines about one cause are written in a minute; those left out are counted."""
    traces: bool = False
    """Whether spans are sent to a collector, by OTLP over HTTP; needs the extra `otel`."""
    traces_url: Annotated[str, PlainSerializer(without_login, when_used="json")] = (
        "http://127.0.0.1:4318/v1/traces"
    )
    traces_headers: Annotated[dict[str, SecretStr], BeforeValidator(_table)] = {}
    """What the collector wants to see, such as an Authorization; from the environment, as JSON."""
    traces_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of the traces that begin here; one that a caller began is as the caller says."""
    docket_spans: bool = False
    """Whether Docket's own spans, and those of its Redis, are sent too."""

    @field_validator("traces_url")
    @classmethod
    def _is_a_url(cls, url: str) -> str:
        """Refuse what no span could be sent to."""
        if re.match(r"https?://[^/\s]+", url) is None:
            raise ValueError(f"{url!r} is no address, such as https://collector.example/v1/traces")
        return url
