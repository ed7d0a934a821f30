"""An object store that speaks S3, as far as bytes by name go: obstore, with our errors.

Where it is and who we are there it learns as every program does: from `AWS_ENDPOINT_URL`,
`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and their kin.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from frozen.values import frozen
from runtime.blobs.blob import DIGEST_PREFIX
from runtime.faults.errors import BlobMissing, BlobsAway
from runtime.values.ids import new_id

CHUNK_BYTES = 5 * 1024 * 1024
"""Of a big file: what is sent or received at a time (the least that S3 takes for a part)."""
PARTS_AT_ONCE = 4
"""So that four parts are in memory, whatever the file."""
CONNECT_S, ANSWER_S = "5s", "300s"
RETRIES = 2


@frozen
class Held:
    """What the store says of an object: its size, and when it was last written."""

    size_bytes: int
    at: datetime


class Objects:
    """The bucket at `url`, such as `s3://bucket/folder`."""

    def __init__(self, url: str, *, environ: Mapping[str, str] = os.environ) -> None:
        endpoint = environ.get("AWS_ENDPOINT_URL", environ.get("AWS_ENDPOINT", ""))
        self._store = S3Store.from_url(
            url,
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": CONNECT_S,
                "timeout": ANSWER_S,
            },
            retry_config={"max_retries": RETRIES},
        )

    async def put(self, key: str, path: Path) -> None:
        """Keep the bytes of a file as `key`, over what is there."""
        async with _translated():
            await obstore.put_async(
                self._store, key, path, chunk_size=CHUNK_BYTES, max_concurrency=PARTS_AT_ONCE
            )

    async def sha256(self, key: str) -> str | None:
        """Return the digest of the bytes of `key`, read for it; None where it is not there."""
        digest = hashlib.sha256()
        try:
            async with _translated(key):
                got = await obstore.get_async(self._store, key)
                async for chunk in got.stream(min_chunk_size=CHUNK_BYTES):
                    await asyncio.to_thread(digest.update, chunk)
        except BlobMissing:
            return None
        return DIGEST_PREFIX + digest.hexdigest()

    async def mark(self, key: str) -> None:
        """Keep an empty object as `key`."""
        async with _translated():
            await obstore.put_async(self._store, key, b"")

    async def fetch(
        self, key: str, *, into: Path, sha256: str, most_bytes: int | None = None
    ) -> None:
        """Bring the bytes of `key` into the new file `into`; raise BlobMissing.

        Others than those of `sha256` are as none: the file is removed. More than `most_bytes`
        are not even begun with.
        """
        async with _translated(key):
            got = await obstore.get_async(self._store, key)
            if most_bytes is not None and got.meta["size"] > most_bytes:
                raise BlobMissing(f"{key} is bigger than it may be", where=key)
            digest = hashlib.sha256()
            with into.open("xb") as file:
                async for chunk in got.stream(min_chunk_size=CHUNK_BYTES):
                    await asyncio.to_thread(_write, chunk, file=file, digest=digest)
        if DIGEST_PREFIX + digest.hexdigest() != sha256:
            await asyncio.to_thread(into.unlink)
            raise BlobMissing(
                f"The object store has other bytes in the place of {sha256}",
                where=key,
                mend="somebody changed the bucket: see who may write there",
            )

    async def head(self, key: str) -> Held | None:
        """Return what is known of `key`; None where it is not there."""
        try:
            async with _translated(key):
                meta = await obstore.head_async(self._store, key)
        except BlobMissing:
            return None
        return Held(size_bytes=meta["size"], at=meta["last_modified"])

    async def remove(self, *keys: str) -> None:
        """Remove what is there of `keys`."""
        try:
            async with _translated(keys[0]):
                await obstore.delete_async(self._store, list(keys))
        except BlobMissing:
            return

    async def names(self, prefix: str) -> list[str]:
        """Return the keys below a prefix that ends at a slash, without it."""
        async with _translated():
            found = [
                one["path"]
                async for chunk in obstore.list(  # pyright: ignore[reportUnknownMemberType]
                    self._store, prefix=prefix
                )
                for one in chunk
            ]
        return [one.removeprefix(prefix) for one in found]

    async def probe(self) -> bool:
        """Write, read and remove an object; return whether an object can be made only once.

        What is kept here has its digest for a name, so we need no more; some stores write over
        it and say nothing. Raises BlobsAway.
        """
        key = f"probes/{new_id()}"
        try:
            async with _translated():
                await obstore.put_async(self._store, key, b"probe", mode="create")
                got = await obstore.get_async(self._store, key)
                if bytes(await got.bytes_async()) != b"probe":
                    raise BlobsAway("The object store does not give back what it was given")
                try:
                    await obstore.put_async(self._store, key, b"again", mode="create")
                except AlreadyExistsError:
                    return True
                return False
        finally:
            await self.remove(key)


@asynccontextmanager
async def _translated(key: str = "") -> AsyncGenerator[None]:
    """Tell what obstore raises in our words."""
    try:
        yield
    except (BaseError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk of this host has refused it, and not the store
        if isinstance(error, FileNotFoundError) and key:
            raise BlobMissing(f"{key} is not in the object store", where=key) from error
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BlobsAway(
            f"The object store did not answer as it should: {why[:300]}",
            where="blobs_url",
            mend="see that the bucket is there and AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY are right",
            retry_after_s=5,
        ) from error


def _write(chunk: Any, *, file: Any, digest: Any) -> None:
    file.write(chunk)
    digest.update(chunk)
