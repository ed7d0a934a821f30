"""Refuses requests for an appliance of another name, so that no site can rebind its own to us.

A page at evil.example whose name leads to our address is same-origin with us to its browser
(DNS rebinding); only `Host` tells. An address needs no such check: no name was looked up.
"""

from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.faults.errors import Misdirected
from runtime.http.answers import problem_response
from runtime.problem_table import fault_of

OF_EVERY_HOST = frozenset({"localhost", "ip6-localhost"})
PROBES = frozenset({"/healthz", "/readyz"})
"""What probes ask by whatever address they know."""


class HostNames:
    """Answers 421 where `Host` is none of our names."""

    def __init__(self, app: ASGIApp, *, names: frozenset[str]) -> None:
        self._app = app
        self._names = names | OF_EVERY_HOST

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        is_free = scope["type"] != "http" or scope["path"] in PROBES
        if is_free or scope["client"] is None or self._is_ours(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        fault = fault_of(
            Misdirected(
                where="header: Host",
                mend="use its address, or add the name to the setting `names`",
            )
        )
        await problem_response(fault, request=Request(scope))(scope, receive, send)

    def _is_ours(self, headers: Headers) -> bool:
        name = host_of(headers.get("host", ""))
        return name in self._names or _is_address(name)


def host_of(text: str) -> str:
    """Return the host of a `Host` field, without its port and brackets.

    >>> host_of("Localhost:8800"), host_of("[::1]:8800")
    ('localhost', '::1')
    """
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
