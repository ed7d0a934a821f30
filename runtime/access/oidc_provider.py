"""What is known of an OpenID provider: where to ask it, and its keys, kept and renewed.

Keys that are known go on while the provider is away. A key that is not known is looked for once in
a while and no more, so nobody makes us ask the provider by making up names of keys.
"""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from runtime.faults.errors import ProviderUnreachable

DISCOVERY = "/.well-known/openid-configuration"
TIMEOUT_S = 5.0
MOST_BYTES = 1024 * 1024
KEPT_S = 3600.0
"""How old keys may be before they are fetched anew, if the provider answers."""
AGAIN_S = 10.0
"""How long until the provider is asked again for a key that it did not have, or while away."""
PUBLIC: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {
    "RSA": RSAKey,
    "EC": ECKey,
    "OKP": OKPKey,
}
log = logging.getLogger("fumehood.oidc")


@dataclass(slots=True, kw_only=True)
class Provider:
    """The provider at `issuer`, as far as it was asked."""

    issuer: str
    ca_bundle: str | None = None
    monotonic: Callable[[], float] = time.monotonic
    _context: ssl.SSLContext | None = None
    _document: Mapping[str, Any] | None = None
    _keys: KeySet | None = None
    _fetched: float = 0.0
    _tried: float = float("-inf")
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def keys_with(self, key_id: str | None) -> KeySet | None:
        """Return the keys, fetched anew where `key_id` is not among them; None for none known."""
        if self._lacks(key_id):
            async with self._asking:
                if self._lacks(key_id) and self.monotonic() - self._tried >= AGAIN_S:
                    await self._renew()
        return self._keys

    async def endpoint(self, name: str) -> str:
        """Return an address of the provider. Raises ProviderUnreachable."""
        document = await self._described()
        return _place(document, name, issuer=self.issuer)

    async def exchange(self, form: Mapping[str, str], *, secret: str) -> Mapping[str, Any]:
        """Give a code for tokens. Raises ProviderUnreachable."""
        place = await self.endpoint("token_endpoint")
        login = (form["client_id"], secret) if secret else None
        return await self._ask("POST", place, data=dict(form), auth=login)

    def _lacks(self, key_id: str | None) -> bool:
        if self._keys is None or self.monotonic() - self._fetched >= KEPT_S:
            return True
        known = {key.kid for key in self._keys.keys}
        return key_id is not None and key_id not in known

    async def _renew(self) -> None:
        """Fetch the keys; what is known stays where that fails."""
        self._tried = self.monotonic()
        try:
            self._document = None
            place = await self.endpoint("jwks_uri")
            self._keys = _public_keys(await self._ask("GET", place))
            self._fetched = self.monotonic()
        except ProviderUnreachable as fault:
            log.warning("the keys of %s are not renewed: %s", self.issuer, fault.what)

    async def _described(self) -> Mapping[str, Any]:
        if self._document is None:
            document = await self._ask("GET", self.issuer.rstrip("/") + DISCOVERY)
            if document.get("issuer") != self.issuer:
                raise ProviderUnreachable(
                    f"{self.issuer} says that it is {document.get('issuer')!r}",
                    where="oidc.issuer",
                    mend="set it as the provider writes it, to the last slash",
                )
            self._document = document
        return self._document

    async def _trusted(self) -> ssl.SSLContext:
        """Return whom we believe to be the provider; reading all authorities takes 0.1 s."""
        if self._context is None:
            self._context = await asyncio.to_thread(
                ssl.create_default_context, cafile=self.ca_bundle
            )
        return self._context

    async def _ask(self, method: str, place: str, **options: Any) -> Mapping[str, Any]:
        try:
            async with (
                httpx2.AsyncClient(
                    timeout=TIMEOUT_S, verify=await self._trusted(), trust_env=False
                ) as client,
                client.stream(method, place, **options) as answer,
            ):
                content = b""
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > MOST_BYTES:
                        raise ValueError("it answers too much")
                answer.raise_for_status()
            return _object_of(content)
        except (httpx2.HTTPError, ValueError) as error:
            raise ProviderUnreachable(
                f"{self.issuer} does not answer as it should: {error}",
                where="oidc.issuer",
                mend="try again; if it stays so, look whether the provider is well",
            ) from error


def _object_of(content: bytes) -> Mapping[str, Any]:
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("it answers no object")
    return cast("Mapping[str, Any]", document)


def _place(document: Mapping[str, Any], name: str, *, issuer: str) -> str:
    """Return an address that is as safe as the issuer's own. Raises ProviderUnreachable."""
    place = document.get(name)
    if not isinstance(place, str) or urlsplit(place).scheme not in {
        "https",
        urlsplit(issuer).scheme,
    }:
        raise ProviderUnreachable(
            f"{issuer} names no {name} that could be asked", where="oidc.issuer"
        )
    return place


def _public_keys(document: Mapping[str, Any]) -> KeySet:
    """Return the keys that sign and are public: a secret one in there is nobody's proof."""
    found: list[RSAKey | ECKey | OKPKey] = []
    listed = cast("list[Any]", document.get("keys") or [])
    for one in (cast("dict[str, Any]", key) for key in listed if isinstance(key, dict)):
        kind = PUBLIC.get(str(one.get("kty")))
        if kind is None or one.get("use", "sig") != "sig":
            continue
        try:
            found.append(kind.import_key(one))
        except (JoseError, ValueError, TypeError) as error:
            log.warning("a key of the provider cannot be read: %s", error)
    return KeySet(list(found))
