"""Index: where the gate leads. Its address and credentials reach uv and the fetcher only."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

PUBLIC = "the default index"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Index:
    """A package index. An empty `url` means the index that uv uses by itself.

    Nothing of this goes into a cell, a lock, a log or an artifact but `shown`.
    """

    url: str = ""
    username: str = ""
    password: str = ""
    ca_bundle: Path | None = None
    proxy: str = ""

    def __repr__(self) -> str:
        return f"Index({self.shown})"

    @property
    def shown(self) -> str:
        """Return the index as people may see it: without credentials, query or fragment."""
        if not self.url:
            return PUBLIC
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        netloc = f"{host}:{parts.port}" if parts.port else host
        return urlunsplit((parts.scheme, netloc, parts.path, "", ""))

    @property
    def host(self) -> str:
        """Return the host that the credentials are for."""
        return urlsplit(self.url).hostname or ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every text that must never be shown."""
        parts = urlsplit(self.url)
        proxy = urlsplit(self.proxy)
        told = (self.password, quote(self.password, safe=""), parts.password, proxy.password)
        return tuple(sorted({text for text in told if text}, key=len, reverse=True))

    def credentials(self) -> tuple[str, str] | None:
        """Return (username, password) for the index's host."""
        parts = urlsplit(self.url)
        username = self.username or parts.username or ""
        password = self.password or parts.password or ""
        return (username, password) if username or password else None

    def variables(self) -> dict[str, str]:
        """Return what uv is told through its environment; nothing of it is on a command line."""
        told: dict[str, str] = {}
        if self.url:
            told["UV_DEFAULT_INDEX"] = self._with_credentials()
        if self.ca_bundle:
            told["SSL_CERT_FILE"] = str(self.ca_bundle)
        if self.proxy:
            told |= {"HTTPS_PROXY": self.proxy, "HTTP_PROXY": self.proxy}
        return told

    def redact(self, text: str) -> str:
        """Return `text` with every secret replaced."""
        for secret in self.secrets:
            text = text.replace(secret, "****")
        return text

    def _with_credentials(self) -> str:
        found = self.credentials()
        if found is None:
            return self.url
        parts = urlsplit(self.url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
        login = ":".join(quote(part, safe="") for part in found)
        return urlunsplit((parts.scheme, f"{login}@{host}", parts.path, parts.query, ""))
