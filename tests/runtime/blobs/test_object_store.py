"""Bytes in a store that speaks S3: the same promises as in a folder, and a bounded one here."""

import asyncio
import hashlib
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.s3 import S3, s3_server

from runtime.blobs.cached import CachedBlobs
from runtime.blobs.depot import Kind, ObjectDepot
from runtime.blobs.local import LocalBlobs
from runtime.blobs.objects import Objects
from runtime.faults.errors import BlobMissing, BlobsAway

MIB = 1 << 20


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environ.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def objects(s3: S3, request: pytest.FixtureRequest) -> Objects:
    return Objects(f"s3://bucket/{request.node.name}")


def blobs_at(objects: Objects, folder: Path, *, most_bytes: int = 64 * MIB) -> CachedBlobs:
    return CachedBlobs(objects, here=LocalBlobs(folder), most_bytes=most_bytes)


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "source"
    path.write_bytes(content)
    return path


async def test_what_one_machine_keeps_another_has(objects: Objects, tmp_path: Path) -> None:
    one, other = blobs_at(objects, tmp_path / "one"), blobs_at(objects, tmp_path / "other")
    blob = await one.put_file(file_of(tmp_path, b"some bytes"))
    assert await other.has(blob.sha256)
    assert (await other.local_path(blob.sha256)).read_bytes() == b"some bytes"
    assert [chunk async for chunk in other.read(blob.sha256, start=5, end=8)] == [b"byt"]
    assert await one.listed(int(blob.sha256[7:9], 16)) == (blob.sha256,)
    with pytest.raises(BlobMissing):
        await other.local_path("sha256:" + "0" * 64)


async def test_what_was_changed_in_a_depot_is_put_there_anew(
    objects: Objects, tmp_path: Path
) -> None:
    whole = file_of(tmp_path, b"true")
    name = hashlib.sha256(b"true").hexdigest()
    await ObjectDepot(objects).put_once(Kind.WHEEL, name, whole)
    altered = tmp_path / "altered"
    altered.write_bytes(b"evil")  # as many bytes
    await objects.put(f"wheels/{name}", altered)
    depot = ObjectDepot(objects)
    await depot.put_once(Kind.WHEEL, name, whole)
    await depot.fetch(Kind.WHEEL, name, into=tmp_path / "got", sha256=f"sha256:{name}")
    assert (tmp_path / "got").read_bytes() == b"true"


async def test_what_was_changed_there_is_not_taken(objects: Objects, tmp_path: Path) -> None:
    one, other = blobs_at(objects, tmp_path / "one"), blobs_at(objects, tmp_path / "other")
    blob = await one.put_file(file_of(tmp_path, b"true"))
    digits = blob.sha256.removeprefix("sha256:")
    await objects.put(f"sha256/{digits[:2]}/{digits[2:]}", file_of(tmp_path, b"false"))
    with pytest.raises(BlobMissing, match="other bytes"):
        await other.local_path(blob.sha256)
    assert not [path for path in (tmp_path / "other").rglob("*") if path.is_file()]


async def test_more_than_there_may_be_is_not_begun_with(objects: Objects, tmp_path: Path) -> None:
    await objects.put("bundles/one", file_of(tmp_path, b"x" * 1000))
    digest = "sha256:" + hashlib.sha256(b"x" * 1000).hexdigest()
    with pytest.raises(BlobMissing, match="bigger"):
        await objects.fetch("bundles/one", into=tmp_path / "got", sha256=digest, most_bytes=999)
    assert not (tmp_path / "got").exists()
    await objects.fetch("bundles/one", into=tmp_path / "got", sha256=digest, most_bytes=1000)


async def test_a_big_file_comes_and_goes_whole(objects: Objects, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(23 * MIB + 5)
    one, other = blobs_at(objects, tmp_path / "one"), blobs_at(objects, tmp_path / "other")
    blob = await one.put_file(file_of(tmp_path, content))
    assert (await other.local_path(blob.sha256)).read_bytes() == content


async def test_the_folder_here_is_bounded_but_for_what_was_wanted_a_moment_ago(
    objects: Objects, tmp_path: Path
) -> None:
    here = LocalBlobs(tmp_path / "here")
    blobs = CachedBlobs(objects, here=here, most_bytes=0)
    kept = [await blobs.put_file(file_of(tmp_path, bytes([n]) * 100)) for n in range(5)]
    for n, blob in enumerate(kept):
        os.utime(await here.local_path(blob.sha256), (1000 + n, 1000 + n))
    assert await here.trim(most_bytes=250, used_before=1003) == 300
    assert [await here.has(blob.sha256) for blob in kept] == [False] * 3 + [True] * 2
    assert await here.trim(most_bytes=0, used_before=1003) == 0, "the others may be in use"
    for blob in kept:
        assert (await blobs.local_path(blob.sha256)).is_file()


async def test_nobodys_bytes_go_in_two_rounds_and_what_is_kept_anew_in_between_stays(
    objects: Objects, tmp_path: Path
) -> None:
    blobs = blobs_at(objects, tmp_path / "here")
    blob = await blobs.put_file(file_of(tmp_path, b"nobody's"))
    later = (datetime.now(UTC) + timedelta(hours=1)).timestamp()
    await asyncio.sleep(1.1)  # S3 tells times in seconds, and what is as old counts as newer
    assert not await blobs.put_aside(blob.sha256, kept_before=later), "only marked"
    assert not await blobs.put_aside(blob.sha256, kept_before=0), "not for long enough"
    await blobs.put_file(file_of(tmp_path, b"nobody's"))
    await asyncio.sleep(1.1)
    assert not await blobs.put_aside(blob.sha256, kept_before=later), "marked anew"
    assert await blobs.put_aside(blob.sha256, kept_before=later)
    assert await blobs.forget_aside(blob.sha256) == len(b"nobody's")
    assert not await blobs.has(blob.sha256)
    assert await blobs.listed(int(blob.sha256[7:9], 16)) == ()


async def test_a_store_is_tried_before_it_is_relied_on(
    objects: Objects, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await objects.probe() is True
    with pytest.raises(BlobsAway, match="did not answer"):
        await Objects("s3://no-such-bucket").probe()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BlobsAway) as told:
        await Objects("s3://bucket").probe()
    assert told.value.retry_after_s
