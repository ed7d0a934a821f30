"""Bytes by digest: kept once, whole or not at all, and never writable again."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.blobs.blob import Blob
from runtime.blobs.local import LocalBlobs
from runtime.faults.errors import BlobMissing, TooLarge


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def streamed(blobs: LocalBlobs, chunks: AsyncIterator[bytes], *, most_bytes: int) -> Blob:
    async with blobs.staging() as staging:
        blob = await staging.put_stream(chunks, most_bytes=most_bytes)
        await staging.keep()
    return blob


def everything_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def test_the_same_bytes_are_kept_once_however_they_come(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    source = tmp_path / "source"
    source.write_bytes(b"hello")
    first = await streamed(blobs, stream(b"he", b"llo"), most_bytes=5)
    second = await blobs.put_file(source)
    assert first == second
    assert first.sha256 == "sha256:" + hashlib.sha256(b"hello").hexdigest()
    kept = everything_in(tmp_path / "blobs")
    assert [path.read_bytes() for path in kept] == [b"hello"]
    assert kept[0].stat().st_mode & 0o222 == 0


async def test_a_file_can_be_consumed(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    source = tmp_path / "source"
    source.write_bytes(b"gone")
    blob = await blobs.put_file(source, consume=True)
    assert not source.exists()
    assert (await blobs.local_path(blob.sha256)).read_bytes() == b"gone"


async def test_too_much_or_a_broken_stream_leaves_nothing(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")

    async def breaking() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError("gone")

    with pytest.raises(TooLarge):
        await streamed(blobs, stream(b"123", b"456"), most_bytes=5)
    with pytest.raises(ConnectionError):
        await streamed(blobs, breaking(), most_bytes=5)
    assert everything_in(tmp_path / "blobs") == []


async def test_what_is_staged_and_not_kept_is_never_there(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    async with blobs.staging() as staging:
        blob = await staging.put_stream(stream(b"whole"), most_bytes=9)
        assert not await blobs.has(blob.sha256)
    assert everything_in(tmp_path / "blobs") == []


@pytest.mark.parametrize("digest", ["", "sha256:" + "0" * 64, "sha256:../x", "md5:" + "0" * 64])
async def test_a_digest_of_nothing_here_is_missing(tmp_path: Path, digest: str) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    with pytest.raises(BlobMissing):
        await blobs.local_path(digest)


@pytest.mark.parametrize("is_consumed", [True, False])
async def test_a_link_is_not_followed_and_a_fifo_not_waited_for(
    tmp_path: Path, *, is_consumed: bool
) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    odd = tmp_path / "odd"
    odd.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        await blobs.put_file(odd, consume=is_consumed)
    odd.unlink(missing_ok=True)
    os.mkfifo(odd)
    with pytest.raises(OSError, match="not a regular file"):
        await blobs.put_file(odd, consume=is_consumed)
    assert secret.read_bytes() == b"secret"
    assert everything_in(tmp_path / "blobs") == []


@given(content=st.binary(max_size=300), data=st.data())
async def test_any_part_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    blobs = LocalBlobs(tmp_path_factory.mktemp("blobs"))
    blob = await streamed(blobs, stream(content), most_bytes=300)
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    read = b"".join([chunk async for chunk in blobs.read(blob.sha256, start=start, end=end)])
    assert read == content[start:end]
