"""The settings of the door: where it is, who may come through it, how fast, and over what."""

import json
from pathlib import Path
from typing import Annotated, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.settings.setting_types import Networks, Origins, OwnNames, items_of
from runtime.values.access import Scope

PREFIX = "FUMEHOOD_"
type Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""Those with a public key. `none` and HS256 are not among them, and cannot be set."""
type Algorithms = Annotated[tuple[Algorithm, ...], BeforeValidator(items_of), Field(min_length=1)]


def _mapped(value: object) -> object:
    """Take a text, as an environment variable holds it, for JSON; one scope for a list of it."""
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, dict):
        return found
    known = cast("dict[str, object]", found)
    return {name: [one] if isinstance(one, str) else one for name, one in known.items()}


def _issuer(text: str) -> str:
    """Return `text` if it is where a provider can be asked safely, or empty; raise ValueError."""
    parts = urlsplit(text)
    is_near = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if text and (not parts.hostname or (parts.scheme != "https" and not is_near)):
        raise ValueError(f"{text!r} is no https address of a provider")
    return text


class OidcSettings(BaseModel):
    """The OpenID provider whose word is taken, and for what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Annotated[str, AfterValidator(_issuer)] = ""
    """The provider, as it calls itself: https://login.example.org."""
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    audience: str = ""
    """Whom tokens of machines are for; client_id where it is empty."""
    algorithms: Algorithms = ("RS256", "ES256", "EdDSA")
    asked_scopes: Annotated[tuple[str, ...], BeforeValidator(items_of)] = ("openid",)
    """What a login asks of the provider, such as openid profile groups."""
    claim: str = "groups"
    """The claim that says what somebody may, by `scopes`."""
    scopes: Annotated[dict[str, tuple[Scope, ...]], BeforeValidator(_mapped)] = Field(
        default_factory=dict[str, tuple[Scope, ...]]
    )
    """From values of that claim to scopes: {"lab": "client", "ops": ["operator", "viewer"]}."""
    leeway_s: Annotated[int, Field(ge=0, le=600)] = 60
    """How far its clock may be from ours."""
    ca_bundle: Path | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Refuse a provider without a name for us: any token of it would be for us."""
        if self.issuer and not self.client_id:
            raise ValueError("client_id is missing: which tokens are for this appliance?")
        return self


class DoorSettings(BaseSettings):
    """What an admin set about HTTP and about who may do what."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="The address the server listens on.")
    port: int = Field(
        8800, ge=0, le=65535, description="The port it listens on; 0 picks a free one."
    )
    connections: int = Field(
        1024, ge=1, description="Most connections to the port at the same time."
    )
    connections_of_one: int = Field(
        256, ge=1, description="Most connections from one address, proxies aside."
    )
    head_s: float = Field(
        10.0, gt=0, description="Seconds in which the head of a request must arrive."
    )
    idle_s: float = Field(15.0, ge=1, description="Seconds a connection may idle between requests.")
    body_least_kb_s: int = Field(
        4, ge=0, description="Slowest request body accepted, in KiB/s; 0: any."
    )
    names: OwnNames = Field(
        (),
        description="What the appliance is called: hosts that requests may name, beside its own.",
    )
    session_idle_s: float = Field(
        3600.0, gt=0, description="Seconds after which a browser that asks nothing is logged out."
    )
    session_s: float = Field(
        43_200.0, gt=0, description="Seconds after which a browser has to log in again."
    )
    requests_per_minute: int = Field(
        6000, ge=1, description="Most requests of one token or session in a minute."
    )
    wrong_tokens_per_minute: int = Field(
        20, ge=1, description="Wrong tokens of one address in a minute before it is told to wait."
    )
    audit_copy: Path | None = Field(
        None, description="A file that the audit log is copied to as it grows, as lines of JSON."
    )
    audit_syslog: Path | None = Field(
        None, description="A syslog socket that it is copied to, such as /dev/log."
    )
    oidc: OidcSettings = Field(
        OidcSettings(), description="The OpenID provider that people and machines may log in with."
    )
    tls_certificate: Path | None = Field(
        None, description="The certificate chain to serve HTTPS with (PEM)."
    )
    tls_key: Path | None = Field(None, description="The private key of that certificate (PEM).")
    proxies: Networks = Field((), description="Proxies that are believed about who asks.")
    proxy_fields: Literal["X-Forwarded", "Forwarded"] = Field(
        "X-Forwarded", description="In which fields proxies say who asks, and over what."
    )
    proxy_socket: Path | None = Field(
        None, description="A unix socket for a proxy; it wants a principal, as the port does."
    )
    cors_origins: Origins = Field(
        (), description="Other sites whose pages may ask here, with a token."
    )
    anonymous_reads: bool = Field(False, description="Whether anybody may read what a viewer may.")
