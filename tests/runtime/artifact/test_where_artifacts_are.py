"""Short artifacts come with the end of their attempt; long ones lie in files; old ones stay."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.artifact.artifacts import SHORT_BYTES, Artifacts, is_light
from runtime.artifact.files import ArtifactFiles
from runtime.artifact.model import Artifact, to_bytes
from runtime.artifact.narrative import narrated
from runtime.artifact.steps import begin
from runtime.faults.errors import NotFound, Superseded
from runtime.store.databases.store import Store
from runtime.store.jobs import claims, jobs
from runtime.store.retention import deletion
from runtime.values.records import Activation, Claim, Finish, Job, SavedArtifact, Worker
from runtime.values.states import State
from wheelhouse.durable import write_file

from ..conftest import NOON

WORKER = Worker(id="w", host="h", version="0", slots=1, started_at=NOON, seen_at=NOON)


@pytest.fixture
async def claim(store: Store, make_job: Callable[[], Job], activation: Activation) -> Claim:
    job = await store.run(jobs.submit, job=make_job(), queue_limit=9)
    taken = await store.run(claims.claim, job_id=job.id, token="t", worker=WORKER, at=NOON)
    assert taken
    return taken


@pytest.fixture
def artifacts(store: Store, tmp_path: Path) -> Artifacts:
    return Artifacts(store=store, files=ArtifactFiles(folder=tmp_path / "jobs"))


def with_result(claim: Claim, value: object) -> Artifact:
    return begin(claim, worker=WORKER).model_copy(update={"result": value})


async def ended(store: Store, claim: Claim, saved: SavedArtifact, *, token: str = "t") -> None:
    finish = Finish(state=State.SUCCEEDED, artifact=saved)
    await store.run(claims.finish, job_id=claim.job.id, token=token, finish=finish, at=NOON)


async def test_a_short_one_is_there_with_the_end_of_its_attempt_and_not_before(
    store: Store, artifacts: Artifacts, claim: Claim, tmp_path: Path
) -> None:
    artifact = with_result(claim, "short")
    saved = await artifacts.save(artifact)
    with pytest.raises(NotFound):
        await artifacts.load(claim.job.id, attempt=1, digest=saved.digest)
    with pytest.raises(Superseded):
        await ended(store, claim, saved, token="another's")
    with pytest.raises(NotFound):
        await artifacts.load(claim.job.id, attempt=1, digest=saved.digest)
    await ended(store, claim, saved)
    found = await artifacts.load(claim.job.id, attempt=1, digest=saved.digest)
    assert found == to_bytes(artifact)
    assert saved.digest == "sha256:" + hashlib.sha256(to_bytes(artifact)).hexdigest()
    assert not list((tmp_path / "jobs").rglob("*.json"))


async def test_it_outlives_the_row_of_its_job_and_goes_when_it_is_to_be_forgotten(
    store: Store, artifacts: Artifacts, claim: Claim
) -> None:
    await ended(store, claim, await artifacts.save(with_result(claim, 1)))
    job = await store.read(jobs.get, job_id=claim.job.id)
    await store.run(deletion.remove_rows, job=job)
    assert (await artifacts.shown(job.id, attempt=1, digest=None))["result"] == 1
    await artifacts.forget(job.id)
    with pytest.raises(NotFound):
        await artifacts.load(job.id, attempt=1, digest=None)


async def test_a_long_one_lies_in_a_file_that_is_replaced_whole(
    store: Store, artifacts: Artifacts, claim: Claim
) -> None:
    await artifacts.save(with_result(claim, "y" * SHORT_BYTES))
    artifact = with_result(claim, "x" * SHORT_BYTES)
    saved = await artifacts.save(artifact)
    assert saved.content is None
    await ended(store, claim, saved)
    found = await artifacts.load(claim.job.id, attempt=1, digest=saved.digest)
    assert isinstance(found, Path) and found.read_bytes() == to_bytes(artifact)
    assert [path.name for path in found.parent.iterdir()] == ["artifact.json"]
    await artifacts.forget(claim.job.id)
    assert not found.exists()


async def test_what_an_earlier_version_left_in_a_file_is_read_from_there(
    artifacts: Artifacts, claim: Claim, store: Store
) -> None:
    artifact = await store.read(narrated, job_id=claim.job.id, attempt=1)
    write_file(artifacts.files.path(claim.job.id, attempt=1), to_bytes(artifact))
    found = await artifacts.load(claim.job.id, attempt=1, digest=None)
    assert isinstance(found, Path) and found.read_bytes() == to_bytes(artifact)
    assert (await artifacts.shown(claim.job.id, attempt=1, digest=None))["job"] == claim.job.id


@pytest.mark.parametrize(
    ("value", "light"),
    [
        (None, True),
        ({"a": [1, "b", None, {"c": 2.5}]}, True),
        ("x" * 100_000, False),
        (list(range(100_000)), False),
        ({str(number): 1 for number in range(10_000)}, False),
        ([["x" * 1000] * 10] * 10, False),
        ({"x" * 30_000: 1}, False),
    ],
)
def test_only_what_is_quickly_written_is_written_on_the_event_loop(
    claim: Claim, value: object, *, light: bool
) -> None:
    assert is_light(with_result(claim, value)) is light


def test_many_entries_are_no_light_ones(claim: Claim) -> None:
    attempts = begin(claim, worker=WORKER).attempts * 300
    assert not is_light(
        begin(replace(claim), worker=WORKER).model_copy(update={"attempts": attempts})
    )
