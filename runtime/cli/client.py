"""Which appliance the commands ask, and how its refusals are told."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from runtime.access.token_text import is_whole
from runtime.cli.output.remote_faults import remote_fault
from runtime.client.client import Client, Refused, Unreachable
from runtime.client.operations import is_alive
from runtime.faults.errors import ServerUnreachable, SettingsRefused
from runtime.home.socket import SOCKET_NAME, short_of
from runtime.settings.settings import load

DEFAULT_URL = "http://127.0.0.1:8800"


def server_url() -> str:
    """Return the address of the appliance. Raises SettingsRefused for what is no address."""
    url = os.environ.get("FUMEHOOD_URL", DEFAULT_URL).rstrip("/")
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise SettingsRefused(
            f"FUMEHOOD_URL is {url!r}, which is no address of an appliance",
            where="FUMEHOOD_URL",
            mend=f"set it to one such as {DEFAULT_URL}, or unset it",
        )
    return url


def has_no_appliance() -> bool:
    """Return whether no address was named, no appliance is in our home, and none answers."""
    if "FUMEHOOD_URL" in os.environ or (load({}).settings.home / SOCKET_NAME).exists():
        return False
    if "FUMEHOOD_HOME" in os.environ:
        return True
    try:
        with connected() as client:
            client.ask(is_alive())
    except ServerUnreachable:
        return True
    return False


@contextmanager
def _socket() -> Generator[str | None]:
    """Offer the way to the appliance of our own home, where no address was named."""
    home = None if "FUMEHOOD_URL" in os.environ else load({}).settings.home
    if home is None or not (home / SOCKET_NAME).exists():
        if "FUMEHOOD_HOME" in os.environ and home is not None:
            raise ServerUnreachable(
                f"No appliance is running in {home}",
                where=str(home),
                mend="start it with `fumehood up`, or set FUMEHOOD_URL",
            )
        yield None
        return
    with short_of(home) as path:
        yield path


def _token() -> str:
    """Return what says who we are, where a token was given; the home's socket knows its owner."""
    token = os.environ.get("FUMEHOOD_TOKEN", "").strip()
    if token and not is_whole(token):
        raise SettingsRefused(
            "FUMEHOOD_TOKEN is no token: it was cut off, or mistyped",
            where="FUMEHOOD_TOKEN",
            mend="set it to what `fumehood token create` printed, from fmh_ on",
        )
    return token


@contextmanager
def connected() -> Generator[Client]:
    """Offer a client of the appliance; what goes wrong is said as a fault of ours."""
    url = server_url()
    try:
        with _socket() as socket, Client(url, token=_token(), socket=socket) as client:
            yield client
    except Refused as refused:
        raise remote_fault(refused.document, status=refused.status) from refused
    except Unreachable as error:
        raise ServerUnreachable(
            f"No appliance answers at {url}"
            if error.is_away
            else f"The connection to {url} broke off: {error.why}",
            where=url,
            mend="start it with `fumehood up`, or set FUMEHOOD_URL"
            if error.is_away
            else "try again",
        ) from error
