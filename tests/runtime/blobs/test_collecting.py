"""Bytes that nobody names are collected; those that somebody has just kept or named are not."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.artifact.files import ArtifactFiles
from runtime.blobs.local import LocalBlobs
from runtime.faults.errors import BlobMissing
from runtime.jobs.retention.collecting import Collector
from runtime.store.databases.store import Store
from runtime.store.jobs import claims
from runtime.store.jobs import jobs as job_store
from runtime.store.retention import deletion
from runtime.store.schema.tables_when import schedules
from runtime.values.records import Job, JobInput

from ..conftest import NOON, worker_named

LATER = timedelta(hours=1)


def collector_of(store: Store, blobs: LocalBlobs, folder: Path) -> Collector:
    return Collector(
        store=store,
        blobs=blobs,
        artifacts=ArtifactFiles(folder=folder / "jobs"),
        clock=lambda: datetime.now(UTC) + LATER,
    )


async def kept(blobs: LocalBlobs, folder: Path, text: str = "some bytes") -> str:
    file = folder / "file"
    file.write_text(text)
    return (await blobs.put_file(file)).sha256


def naming(job: Job, digest: str) -> Job:
    name = JobInput(name="a", size_bytes=10, sha256=digest, media_type="text/plain")
    return replace(job, inputs=(name,))


async def test_what_nobody_names_goes_and_what_a_job_names_stays(
    store: Store, make_job: Callable[[], Job], tmp_path: Path
) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    collector = collector_of(store, blobs, tmp_path)
    named = await kept(blobs, tmp_path)
    loose = await kept(blobs, tmp_path, "nobody's")
    job = naming(make_job(), named)
    await store.run(job_store.submit, job=job, queue_limit=9)
    assert await collector.collect([named, loose]) == (1, len("nobody's"))
    await blobs.local_path(named)
    with pytest.raises(BlobMissing):
        await blobs.local_path(loose)
    await store.run(job_store.cancel, job_id=job.id, at=job.submitted_at)
    gone = await store.run(deletion.delete_job, job_id=job.id)
    assert await collector.collect(gone.digests) == (1, 10)


async def test_what_a_schedule_keeps_for_its_jobs_to_come_stays(
    store: Store, tmp_path: Path
) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    digest = await kept(blobs, tmp_path)
    texts = ("id", "name", "owner", "package", "cron", "zone", "missed", "overlap")
    row = dict.fromkeys(texts, "x") | {"parameters": {}, "request": {}, "created_at": NOON}
    row |= {"inputs": [{"name": "a", "sha256": digest}]}
    await store.run(lambda connection: connection.execute(schedules.insert().values(row)))
    collector = collector_of(store, blobs, tmp_path)
    assert await collector.collect([digest]) == (0, 0)
    await store.run(lambda connection: connection.execute(schedules.delete()))
    assert await collector.collect([digest]) == (1, 10)


async def test_the_walk_finds_what_a_crash_has_left(store: Store, tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    collector = collector_of(store, blobs, tmp_path)
    first, second = await kept(blobs, tmp_path, "one"), await kept(blobs, tmp_path, "two")
    assert await blobs.put_aside(second, kept_before=(datetime.now(UTC) + LATER).timestamp())
    for part in range(256):
        await collector.walk(part)
    for digest in (first, second):
        assert not await blobs.has(digest)
    assert not list((tmp_path / "blobs").rglob("*/*/*"))


async def test_bytes_that_were_kept_a_moment_ago_stay_until_somebody_could_name_them(
    store: Store, tmp_path: Path
) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    digest = await kept(blobs, tmp_path)
    now = replace(collector_of(store, blobs, tmp_path), clock=lambda: datetime.now(UTC))
    assert await now.collect([digest]) == (0, 0)
    place = await blobs.local_path(digest)
    os.utime(place, (0, 0))
    await kept(blobs, tmp_path)  # kept again: the same bytes, and an hour from being named
    assert await now.collect([digest]) == (0, 0)
    os.utime(place, (0, 0))
    assert await now.collect([digest]) == (1, 10)


async def test_outputs_of_a_run_that_began_before_they_were_kept_stay(
    store: Store, make_job: Callable[[], Job], tmp_path: Path
) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    collector = collector_of(store, blobs, tmp_path)
    job = await store.run(job_store.submit, job=make_job(), queue_limit=9)
    began = datetime.now(UTC) - timedelta(seconds=5)
    await store.run(claims.claim, job_id=job.id, token="t", worker=worker_named("w"), at=began)
    digest = await kept(blobs, tmp_path)
    assert await collector.collect([digest]) == (0, 0), "the run may publish it yet"
    await store.run(job_store.cancel, job_id=job.id, at=began)
    give = {"job_id": job.id, "token": "t", "at": began, "most_attempts": 3}
    await store.run(
        claims.give_back,
        **give,
        error=claims.JobError(code="drained", what="", mend="", kind="appliance"),
    )
    assert await collector.collect([digest]) == (1, 10)


class Interrupted(LocalBlobs):
    """Blobs that are kept by somebody else at a chosen step of a collection."""

    def __init__(self, root: Path, *, before: str, act: Callable[[], object]) -> None:
        super().__init__(root)
        self._before, self._act = before, act

    async def put_aside(self, sha256: str, *, kept_before: float) -> bool:
        await self._at("put_aside")
        is_aside = await super().put_aside(sha256, kept_before=kept_before)
        await self._at("aside")
        return is_aside

    async def _at(self, step: str) -> None:
        if step == self._before:
            await self._act()  # pyright: ignore[reportGeneralTypeIssues]


@pytest.mark.parametrize("step", ["put_aside", "aside"])
@pytest.mark.parametrize("is_kept_anew", [True, False])
async def test_a_job_that_names_bytes_in_the_middle_of_a_collection_finds_them(
    store: Store,
    make_job: Callable[[], Job],
    tmp_path: Path,
    *,
    step: str,
    is_kept_anew: bool,
) -> None:
    """The bytes are old; a submission keeps and names them between two steps of the collector."""
    submitter = LocalBlobs(tmp_path / "blobs")
    digest = await kept(submitter, tmp_path)

    async def submit() -> None:
        if is_kept_anew:
            await kept(submitter, tmp_path)
        await store.run(job_store.submit, job=naming(make_job(), digest), queue_limit=9)

    blobs = Interrupted(tmp_path / "blobs", before=step, act=submit)
    assert await collector_of(store, blobs, tmp_path).collect([digest]) == (0, 0)
    assert (await submitter.local_path(digest)).read_text() == "some bytes"
