"""The settings of the door: where it is, who may come through it, how fast, and over what."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.setting_types import Networks, Origins, OwnNames

PREFIX = "FUMEHOOD_"


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
