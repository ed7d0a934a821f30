"""Who asks through a proxy, and whether over TLS: by what the proxies say that we believe.

One kind of field is believed, the one that the settings name: most proxies write one and hand on
the other as the caller sent it, who could then be anybody. Of a list the last entry counts that is
no proxy's, since what stands before it the caller may have written.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.http.connections.connection_table import PROXY_SOCKET

PAIR = re.compile(r'(\w+)=("[^"]*"|[^;,\s]*)')
type Hop = tuple[str, str]
"""The address that a proxy was asked from, and the scheme; empty where it does not say."""


class Proxies:
    """Puts the caller's own address and scheme into the request, where a proxy told them."""

    def __init__(self, app: ASGIApp, *, networks: tuple[str, ...], is_rfc_7239: bool) -> None:
        self._app = app
        self._networks = tuple(ip_network(one) for one in networks)
        self._hops = _of_forwarded if is_rfc_7239 else _of_x_forwarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["client"] and self._is_proxy(scope["client"][0]):
            self._apply(scope)
        await self._app(scope, receive, send)

    def _apply(self, scope: Scope) -> None:
        hops = list(self._hops(Headers(scope=scope)))
        if hops and hops[-1][1] in {"http", "https"}:
            scope["scheme"] = hops[-1][1]
        for address, _ in reversed(hops):
            if not _is_address(address):
                return
            scope["client"] = (address, 0)
            if not self._is_proxy(address):
                return

    def _is_proxy(self, address: str) -> bool:
        if address == PROXY_SOCKET:
            return True
        return _is_address(address) and any(ip_address(address) in one for one in self._networks)


def _of_x_forwarded(headers: Headers) -> Iterator[Hop]:
    addresses = _listed(headers, "x-forwarded-for")
    schemes = _listed(headers, "x-forwarded-proto")
    scheme = schemes[-1].lower() if schemes else ""
    for address in addresses or [""]:
        yield _without_port(address), scheme


def _of_forwarded(headers: Headers) -> Iterator[Hop]:
    """Read Forwarded (RFC 7239, 4)."""
    for element in _listed(headers, "forwarded"):
        found = {name.lower(): value.strip('"') for name, value in PAIR.findall(element)}
        yield _without_port(found.get("for", "")), found.get("proto", "").lower()


def _listed(headers: Headers, name: str) -> list[str]:
    return [one.strip() for field in headers.getlist(name) for one in field.split(",")]


def _without_port(text: str) -> str:
    """Return the address in `text`, without brackets and port.

    >>> _without_port("[2001:db8::1]:443"), _without_port("192.0.2.1:80"), _without_port("::1")
    ('2001:db8::1', '192.0.2.1', '::1')
    """
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
