"""What a store of bytes can do, wherever it keeps them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

DIGEST_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Immutable bytes. `sha256` is `sha256:` and 64 hex digits."""

    sha256: str
    size_bytes: int


class Staging(Protocol):
    """Bytes that arrive, which nobody sees before they are kept."""

    async def put_stream(self, chunks: AsyncIterator[bytes], *, most_bytes: int) -> Blob:
        """Take the bytes of a stream; raise TooLarge, taking nothing, beyond `most_bytes`."""
        ...

    async def keep(self) -> None:
        """Keep all that was taken."""
        ...


class Blobs(Protocol):
    """A content-addressed store: the same bytes are kept once."""

    async def put_file(self, path: Path, *, consume: bool = False) -> Blob:
        """Keep the bytes of a file; `consume` allows to move the file instead of copying it."""
        ...

    def staging(self) -> AbstractAsyncContextManager[Staging]:
        """Offer a place for bytes that may not be kept in the end; what was not is gone then."""
        ...

    async def has(self, sha256: str) -> bool:
        """Return whether the bytes are there."""
        ...

    async def local_path(self, sha256: str) -> Path:
        """Return a read-only file on this host with the bytes; raise BlobMissing."""
        ...

    def read(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`; raise BlobMissing."""
        ...

    async def remove(self, sha256: str) -> None:
        """Forget the bytes; nothing happens when they are not there."""
        ...
