"""The appliance over HTTP, as the commands use it."""

import json
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from runtime.access.token_text import is_whole
from runtime.cli.output.remote_faults import remote_fault
from runtime.errors import ServerUnreachable, SettingsRefused
from runtime.home.socket import SOCKET_NAME, short_of
from runtime.settings import load

DEFAULT_URL = "http://127.0.0.1:8800"
TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
LIVE = httpx2.Timeout(60.0, read=None)


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
            client.get("/healthz")
    except ServerUnreachable:
        return True
    return False


@contextmanager
def _transport() -> Generator[httpx2.HTTPTransport | None]:
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
        yield httpx2.HTTPTransport(uds=path)


def _token() -> dict[str, str]:
    """Return what says who we are, where a token was given; the home's socket knows its owner."""
    token = os.environ.get("FUMEHOOD_TOKEN", "").strip()
    if not token:
        return {}
    if not is_whole(token):
        raise SettingsRefused(
            "FUMEHOOD_TOKEN is no token: it was cut off, or mistyped",
            where="FUMEHOOD_TOKEN",
            mend="set it to what `fumehood token create` printed, from fmh_ on",
        )
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def connected() -> Generator[httpx2.Client]:
    """Offer a client of the appliance; its being away is said as ServerUnreachable."""
    url = server_url()
    try:
        # No proxy: the appliance is ours, and proxies of the environment are for the gate.
        with (
            _transport() as way,
            httpx2.Client(
                base_url=url, timeout=TIMEOUT, trust_env=False, transport=way, headers=_token()
            ) as client,
        ):
            yield client
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise ServerUnreachable(
            f"No appliance answers at {url}",
            where=url,
            mend="start it with `fumehood up`, or set FUMEHOOD_URL",
        ) from error
    except httpx2.TransportError as error:
        raise ServerUnreachable(
            f"The connection to {url} broke off: {error}", where=url, mend="try again"
        ) from error


def ask(client: httpx2.Client, method: str, path: str, **options: Any) -> Any:
    """Return the JSON that the appliance answers; raise RemoteFault where it refuses."""
    response = client.request(method, path, **options)
    _raise_fault(response)
    return response.json()


def read(client: httpx2.Client, path: str) -> str:
    """Return the text that the appliance has at `path`; raise RemoteFault where it refuses."""
    response = client.get(path)
    _raise_fault(response)
    return response.text


def fetch(client: httpx2.Client, path: str, *, to: Path) -> None:
    """Write what the appliance has at `path` to the file `to`, whole or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    aside = to.with_name(f".{to.name}.part")
    with client.stream("GET", path) as response:
        if response.is_error:
            response.read()
        _raise_fault(response)
        with aside.open("wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
    aside.replace(to)


def follow(client: httpx2.Client, job_id: str, *, after: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the events of a job until it has ended."""
    path = f"/v1/jobs/{job_id}/events"
    query = {"after": after, "follow": "true"}
    with client.stream("GET", path, params=query, timeout=LIVE) as response:
        if response.is_error:
            response.read()
        _raise_fault(response)
        for line in response.iter_lines():
            yield json.loads(line)


def all_items(
    client: httpx2.Client, path: str, *, most: int = sys.maxsize, **query: Any
) -> list[Any]:
    """Return up to `most` items of a list, page by page."""
    items: list[Any] = []
    cursor: str | None = None
    while len(items) < most:
        asked = {"limit": min(200, most - len(items)), "cursor": cursor, **query}
        given = {name: value for name, value in asked.items() if value is not None}
        page = ask(client, "GET", path, params=given)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return items


def _raise_fault(response: httpx2.Response) -> None:
    if not response.is_error:
        return
    try:
        document = response.json()
    except ValueError:
        document = {"detail": f"{response.url} answered {response.status_code}"}
    raise remote_fault(document, status=response.status_code)
