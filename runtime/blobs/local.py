"""Blobs in a local folder: `sha256/ab/cdef…`, read-only files that may be hard-linked."""

import asyncio
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from runtime.blobs.blob import DIGEST_PREFIX, Blob, hex_of, missing
from runtime.faults.errors import TooLarge
from runtime.values.ids import new_id
from sandbox.limits import MIB
from wheelhouse.durable import flush_folder

CHUNK_BYTES = MIB


class LocalBlobs:
    """A store of bytes below `root`. A file appears whole and flushed, or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root / "sha256"
        self._aside = root / "incoming"
        self._outgoing = root / "outgoing"
        self._root.mkdir(parents=True, exist_ok=True)
        self._aside.mkdir(exist_ok=True)
        self._outgoing.mkdir(exist_ok=True)

    async def put_file(self, path: Path, *, consume: bool = False) -> Blob:
        """Keep the bytes of a regular file."""
        return await asyncio.to_thread(self._put_file, path, consume=consume)

    def _put_file(self, path: Path, *, consume: bool) -> Blob:
        aside = self._aside / new_id()
        try:
            if not (consume and _renamed(path, aside)):
                _copy(path, aside)
            if consume:
                path.unlink(missing_ok=True)
            with _open_regular(aside) as file:
                os.fsync(file.fileno())
                hexdigest = hashlib.file_digest(file, "sha256").hexdigest()
            return self._keep(aside, hexdigest=hexdigest)
        finally:
            aside.unlink(missing_ok=True)

    @asynccontextmanager
    async def staging(self) -> AsyncGenerator["LocalStaging"]:
        """Offer a place aside; what is not kept at the end is removed."""
        staging = LocalStaging(self._aside, keep=self._keep)
        try:
            yield staging
        finally:
            for aside in staging.asides:
                aside.unlink(missing_ok=True)

    def _keep(self, aside: Path, *, hexdigest: str) -> Blob:
        place = self._place(DIGEST_PREFIX + hexdigest)
        size_bytes = aside.stat().st_size
        if not _touched(place):
            place.parent.mkdir(exist_ok=True)
            aside.chmod(0o444)
            aside.replace(place)
            flush_folder(place.parent)
        return Blob(sha256=DIGEST_PREFIX + hexdigest, size_bytes=size_bytes)

    async def has(self, sha256: str) -> bool:
        """Return whether the bytes are there."""
        return self._place(sha256).is_file()

    async def local_path(self, sha256: str) -> Path:
        """Return the file that holds the bytes."""
        place = self._place(sha256)
        if not place.is_file():
            raise missing(sha256)
        return place

    async def read(
        self, sha256: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes in chunks of at most 1 MiB."""
        path = await self.local_path(sha256)
        left = (path.stat().st_size if end is None else end) - start
        with path.open("rb") as file:
            file.seek(start)
            while left > 0 and (
                chunk := await asyncio.to_thread(file.read, min(left, CHUNK_BYTES))
            ):
                left -= len(chunk)
                yield chunk

    async def remove(self, sha256: str) -> None:
        """Forget the bytes."""
        self._place(sha256).unlink(missing_ok=True)

    async def touch(self, sha256: str) -> bool:
        """Say that the bytes are wanted from now on; return whether they are here."""
        return await asyncio.to_thread(_touched, self._place(sha256))

    @asynccontextmanager
    async def beside(self) -> AsyncGenerator[Path]:
        """Offer a name for a file beside the store, from where `put_file` takes it by a rename."""
        aside = self._aside / new_id()
        try:
            yield aside
        finally:
            aside.unlink(missing_ok=True)

    async def trim(self, *, most_bytes: int, used_before: float) -> int:
        """Remove what was not wanted for longest until `most_bytes` are left; return how many.

        What was wanted since `used_before` (seconds since the epoch) stays, whatever there is.
        """
        return await asyncio.to_thread(self._trim, most_bytes, used_before)

    def _trim(self, most_bytes: int, used_before: float) -> int:
        found = [(path, path.stat()) for path in self._root.glob("??/*")]
        left = sum(status.st_size for _, status in found)
        removed = 0
        for path, status in sorted(found, key=lambda one: one[1].st_mtime):
            if left <= most_bytes or status.st_mtime >= used_before:
                break
            path.unlink(missing_ok=True)
            left -= status.st_size
            removed += status.st_size
        return removed

    async def put_aside(self, sha256: str, *, kept_before: float) -> bool:
        """Put the bytes where nobody finds them, unless they were kept since `kept_before`."""
        return await asyncio.to_thread(self._put_aside, sha256, kept_before)

    def _put_aside(self, sha256: str, kept_before: float) -> bool:
        # Moved first and looked at then: whoever keeps the same bytes now finds none and puts its
        # own in their place, and whoever did a moment ago has touched what was moved.
        place, outgoing = self._place(sha256), self._going(sha256)
        if not outgoing.exists():
            try:
                place.rename(outgoing)
            except FileNotFoundError:
                return False
        if outgoing.stat().st_mtime < kept_before:
            return True
        self._put_back(sha256)
        return False

    async def put_back(self, sha256: str) -> None:
        """Put bytes that are aside back in their place."""
        await asyncio.to_thread(self._put_back, sha256)

    def _put_back(self, sha256: str) -> None:
        # Over what somebody kept meanwhile: it is the same, and rename(2) leaves no gap.
        self._going(sha256).replace(self._place(sha256))

    async def forget_aside(self, sha256: str) -> int:
        """Forget bytes that are aside; return how many there were."""
        outgoing = self._going(sha256)
        size_bytes = outgoing.stat().st_size
        outgoing.unlink()
        return size_bytes

    async def listed(self, part: int) -> tuple[str, ...]:
        """Return the digests in one part of the store, those aside included."""
        return await asyncio.to_thread(self._listed, f"{part:02x}")

    def _listed(self, part: str) -> tuple[str, ...]:
        folder = self._root / part
        there = {part + one.name for one in folder.iterdir()} if folder.is_dir() else set[str]()
        there |= {one.name for one in self._outgoing.glob(f"{part}*")}
        return tuple(sorted(DIGEST_PREFIX + name for name in there if len(name) == 64))

    def _going(self, sha256: str) -> Path:
        place = self._place(sha256)
        return self._outgoing / (place.parent.name + place.name)

    def _place(self, sha256: str) -> Path:
        hexdigest = hex_of(sha256)
        return self._root / hexdigest[:2] / hexdigest[2:]


class LocalStaging:
    """Bytes in files aside, which `keep` puts into their places."""

    def __init__(self, folder: Path, *, keep: Callable[..., Blob]) -> None:
        self._folder = folder
        self._keep = keep
        self.asides: dict[Path, str] = {}

    async def put_stream(self, chunks: AsyncIterator[bytes], *, most_bytes: int) -> Blob:
        """Take the bytes of a stream, never more than `most_bytes` of them on the disk."""
        aside = self._folder / new_id()
        self.asides[aside] = ""
        hexdigest = self.asides[aside] = await _pour(chunks, into=aside, most_bytes=most_bytes)
        return Blob(sha256=DIGEST_PREFIX + hexdigest, size_bytes=aside.stat().st_size)

    async def keep(self) -> None:
        """Put all that was taken into its place."""
        for aside, hexdigest in self.asides.items():
            await asyncio.to_thread(self._keep, aside, hexdigest=hexdigest)


def _touched(place: Path) -> bool:
    """Say that these bytes are wanted from now on; return whether they are there (utime(2))."""
    try:
        os.utime(place)
    except FileNotFoundError:
        return False
    return True


def _renamed(path: Path, aside: Path) -> bool:
    try:
        path.rename(aside)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False  # another file system: rename(2) cannot
    return True


def _copy(path: Path, aside: Path) -> None:
    with _open_regular(path) as source, aside.open("xb") as target:
        shutil.copyfileobj(source, target, CHUNK_BYTES)


def _open_regular(path: Path) -> BufferedReader:
    """Open a regular file, never what a link points to, a device or a FIFO: open(2)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


async def _pour(chunks: AsyncIterator[bytes], *, into: Path, most_bytes: int) -> str:
    digest = hashlib.sha256()
    written = 0
    with into.open("xb", buffering=CHUNK_BYTES) as file:
        async for chunk in chunks:
            written += len(chunk)
            if written > most_bytes:
                raise TooLarge(
                    f"More than {most_bytes} bytes were sent",
                    mend=f"send at most {most_bytes // CHUNK_BYTES} MiB, or raise the setting",
                )
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(_flush, file)
    return digest.hexdigest()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
