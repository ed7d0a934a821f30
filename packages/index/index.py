"""Index: where the gate leads. Its address and credentials reach uv and the fetcher only."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from frozen.values import frozen
from packages.index.leading import Leads, Origin, origins

PUBLIC = "the default index"
PUBLIC_URL = "https://pypi.org/simple/"
PUBLIC_FILES = "https://files.pythonhosted.org/"


@frozen
class Bounds:
    """How much an index may cost us: a page (or a wheel's metadata), a whole lock, a wheel."""

    page_mb: int = 64
    page_s: float = 120.0
    lock_mb: int = 1024
    lock_s: float = 600.0
    wheel_mb: int = 4096
    wheel_s: float = 7200.0
    least_kb_s: int = 4
    """What comes slower than that, for some time, is given up."""


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
    hosts: tuple[str, ...] = ()
    """Further hosts (`name` or `name:port`) that it may lead to."""
    private: tuple[str, ...] = ()
    """Addresses and networks that these may have although they are not public."""
    bounds: Bounds = field(default_factory=Bounds)

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
    def place(self) -> str:
        """Return the address without the login in it."""
        parts = urlsplit(self.url or PUBLIC_URL)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))

    @property
    def leads(self) -> Leads:
        """Return where it may lead. The default index keeps its files at a host of their own."""
        own = (self.place,) if self.url else (PUBLIC_URL, PUBLIC_FILES)
        return Leads(own=origins(own), hosts=self.hosts, private=self.private)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every text that must never be shown."""
        parts = urlsplit(self.url)
        proxy = urlsplit(self.proxy)
        told = (self.password, quote(self.password, safe=""), parts.password, proxy.password)
        return tuple(sorted({text for text in told if text}, key=len, reverse=True))

    def credentials(self) -> tuple[str, str] | None:
        """Return (username, password), which are for the index's origin and no other."""
        parts = urlsplit(self.url)
        username = self.username or unquote(parts.username or "")
        password = self.password or unquote(parts.password or "")
        return (username, password) if username or password else None

    def login_for(self, url: str) -> tuple[str, str] | None:
        """Return the credentials, if `url` has the very scheme, host and port of the index."""
        is_ours = bool(self.url) and Origin.of(url) == Origin.of(self.place)
        return self.credentials() if is_ours else None

    def redact(self, text: str) -> str:
        """Return `text` with every secret replaced."""
        for secret in self.secrets:
            text = text.replace(secret, "****")
        return text
