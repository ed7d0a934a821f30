"""What a store of bytes can do, wherever it keeps them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from frozen.values import frozen
from runtime.faults.errors import BlobMissing

DIGEST_PREFIX = "sha256:"
PARTS = 256
"""By the first two digits of a digest: so that all of a store is walked a bit at a time."""


@frozen
class Blob:
    """Immutable bytes. `sha256` is `sha256:` and 64 hex digits."""

    sha256: str
    size_bytes: int


def hex_of(sha256: str) -> str:
    """Return the 64 digits of a digest; raise BlobMissing for what is none."""
    hexdigest = sha256.removeprefix(DIGEST_PREFIX)
    is_digest = len(hexdigest) == 64 and set(hexdigest) <= set("0123456789abcdef")
    if not sha256.startswith(DIGEST_PREFIX) or not is_digest:
        raise missing(sha256)
    return hexdigest


def missing(sha256: str) -> BlobMissing:
    """Return what is told of bytes that are not there."""
    return BlobMissing(f"The bytes of {sha256} are not in the store", where=sha256)


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

    async def put_aside(self, sha256: str, *, kept_before: float) -> bool:
        """Put the bytes where nobody finds them; return whether they are aside now.

        They stay where they were kept since `kept_before` (seconds since the epoch), also where
        they were there already: whoever keeps bytes is about to name them.
        """
        ...

    async def put_back(self, sha256: str) -> None:
        """Put bytes that are aside back in their place."""
        ...

    async def forget_aside(self, sha256: str) -> int:
        """Forget bytes that are aside; return how many there were."""
        ...

    async def listed(self, part: int) -> tuple[str, ...]:
        """Return the digests in one of the `PARTS` parts of the store, those aside included."""
        ...
