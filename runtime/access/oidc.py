"""OpenID Connect: whom a provider vouches for, and what that may do here.

Signed tokens are held to issuer, audience, times and one of the algorithms set, all with public
keys: `none` and HS256 (a public key taken for a secret) are never among them.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlencode

from joserfc import jws, jwt
from joserfc.errors import JoseError

from frozen.values import frozen
from runtime.access.oidc_provider import Provider
from runtime.faults.errors import ProviderUnreachable
from runtime.settings.door_settings import OidcSettings
from runtime.values.access import Principal, Scope, Way
from runtime.values.clock import Clock

PREFIX = "oidc:"
"""How the names of those begin whom a provider vouches for."""
TOKEN_MOST = 16 * 1024
NAME_MOST = 255
LOGIN_S = 600.0
LOGINS_MOST = 1000


@frozen
class BegunLogin:
    """A login that went to the provider: what has to come back with it, and where one wanted to."""

    verifier: str
    nonce: str
    after: str
    callback: str
    until: float


@dataclass(slots=True, kw_only=True)
class Oidc:
    """What the doors ask; `settings` says whom to believe and what they may."""

    settings: OidcSettings
    provider: Provider
    clock: Clock
    monotonic: Callable[[], float]
    _begun: dict[str, BegunLogin] = field(default_factory=dict[str, BegunLogin])

    async def principal_of(self, text: str) -> Principal | None:
        """Return whom a signed token vouches for; None where it is not to be believed."""
        claims = await self._claims(text, audience=self.settings.audience or self._client)
        return self._principal(claims, way=Way.OIDC) if claims else None

    async def begin(self, *, callback: str, after: str) -> tuple[str, str]:
        """Return the state of a new login, and the address that the browser shall go to.

        Raises ProviderUnreachable.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        place = await self.provider.endpoint("authorization_endpoint")
        until = self.monotonic() + LOGIN_S
        self._begun[state] = BegunLogin(
            verifier=verifier, nonce=nonce, after=after, callback=callback, until=until
        )
        for oldest in list(self._begun)[:-LOGINS_MOST]:
            del self._begun[oldest]
        query = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": callback,
            "scope": " ".join(self.settings.asked_scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        return state, f"{place}{'&' if '?' in place else '?'}{urlencode(query)}"

    async def finish(self, *, state: str, code: str) -> tuple[Principal, str] | None:
        """Return who has logged in and where it wanted to; None where nothing vouches for it.

        Raises ProviderUnreachable.
        """
        begun = self._begun.pop(state, None)
        if begun is None or self.monotonic() >= begun.until:
            return None
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.callback,
            "client_id": self._client,
            "code_verifier": begun.verifier,
        }
        secret = self.settings.client_secret.get_secret_value()
        given = (await self.provider.exchange(form, secret=secret)).get("id_token")
        claims = await self._claims(given, audience=self._client) if given else None
        if claims is None or not _is_same(claims.get("nonce"), begun.nonce):
            return None
        principal = self._principal(claims, way=Way.SESSION)
        return (principal, begun.after) if principal else None

    @property
    def _client(self) -> str:
        return self.settings.client_id

    async def _claims(self, text: Any, *, audience: str) -> Mapping[str, Any] | None:
        if not isinstance(text, str) or len(text) > TOKEN_MOST:
            return None
        try:
            header = jws.extract_compact(text.encode()).protected
        except (JoseError, ValueError):
            return None
        if header.get("alg") not in self.settings.algorithms:
            return None  # before anybody is asked for a key
        keys = await self.provider.keys_with(header.get("kid"))
        if keys is None:
            raise ProviderUnreachable(
                f"No key of {self.provider.issuer} is known yet",
                where="oidc.issuer",
                mend="try again once it answers",
                retry_after_s=10,
            )
        try:
            token = jwt.decode(text, keys, algorithms=list(self.settings.algorithms))
            self._rules(audience).validate(token.claims)
        except (JoseError, ValueError):
            return None
        return cast("Mapping[str, Any]", token.claims)

    def _rules(self, audience: str) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=lambda: int(self.clock().timestamp()),
            leeway=self.settings.leeway_s,
            iss={"essential": True, "value": self.provider.issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def _principal(self, claims: Mapping[str, Any], *, way: Way) -> Principal | None:
        name = claims.get("sub")
        is_name = isinstance(name, str) and 0 < len(name) <= NAME_MOST and name.isprintable()
        if not is_name or claims.get("azp", self._client) != self._client != "":
            return None
        said = claims.get(self.settings.claim, ())
        values = [said] if isinstance(said, str) else said
        return Principal(
            name=f"{PREFIX}{name}", scopes=scopes_of(values, mapped=self.settings.scopes), way=way
        )


def oidc_of(settings: OidcSettings, *, clock: Clock) -> Oidc:
    """Return what asks the provider of these settings."""
    ca_bundle = str(settings.ca_bundle) if settings.ca_bundle else None
    return Oidc(
        settings=settings,
        provider=Provider(issuer=settings.issuer, ca_bundle=ca_bundle),
        clock=clock,
        monotonic=time.monotonic,
    )


def scopes_of(values: Any, *, mapped: Mapping[str, tuple[Scope, ...]]) -> frozenset[Scope]:
    """Return what somebody may whose claim has these `values`.

    >>> sorted(scopes_of(["ops", "other"], mapped={"ops": (Scope.OPERATOR,)}))
    [<Scope.OPERATOR: 'operator'>]
    """
    if not isinstance(values, list | tuple):
        return frozenset()
    known = (mapped.get(one, ()) for one in cast("list[Any]", values) if isinstance(one, str))
    return frozenset(scope for scopes in known for scope in scopes)


def _challenge(verifier: str) -> str:
    """Return the challenge of PKCE (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _is_same(given: Any, wanted: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), wanted.encode())
