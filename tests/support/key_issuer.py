"""An OpenID provider whose keys are ours: it signs whatever a test wants it to."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey


@dataclass
class KeyIssuer:
    """What it serves, and how often it was asked for its keys."""

    url: str
    key: RSAKey
    served: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return right claims, some of them changed; None takes one away."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": "fumehood", "sub": "ana", "exp": now + 300, "iat": now}
        claims |= {"groups": ["ops"]} | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: Any = None, *, alg: str = "RS256", **changes: Any) -> str:
        """Return a token with these claims."""
        signing = key or self.key
        header = {"alg": alg, "kid": signing.kid}
        return jwt.encode(header, self.claims(**changes), signing, algorithms=[alg])


@contextmanager
def key_issuer() -> Iterator[KeyIssuer]:
    """Offer a provider that listens on this host."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("openid-configuration"):
                told: dict[str, Any] = {"issuer": one.url, "jwks_uri": f"{one.url}/keys"}
            else:
                one.asked += 1
                told = {"keys": one.served}
            content = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    key = RSAKey.generate_key(2048, {"kid": "first"})
    one = KeyIssuer(url=f"http://127.0.0.1:{server.server_port}", key=key)
    one.served = [key.as_dict(private=False)]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        server.server_close()
