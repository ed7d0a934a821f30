"""The artifact grows phase by phase, fits its published schema, and is saved whole."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta

import jsonschema_rs
import pytest

from packages.environment.inventory import Inventory, Overlap
from runtime.artifact import steps as assembly
from runtime.artifact.entries import environment_entry
from runtime.artifact.model import (
    Artifact,
    CallableEntry,
    EnvironmentEntry,
    InstalledEntry,
    InstallEntry,
    artifact_schema,
    to_bytes,
)
from runtime.store.databases.store import Store
from runtime.store.jobs import claims
from runtime.store.jobs import jobs as job_store
from runtime.values.records import Activation, Claim, Job, JobInput, StoredOutput, Worker
from runtime.values.states import State
from sandbox.command import (
    Connection,
    Ending,
    Failure,
    HostLibrary,
    Isolation,
    Layer,
    Level,
    Outcome,
    Refusal,
    Traffic,
    Usage,
)
from sandbox.limits import Limits

from ..conftest import DIGEST, NOON

WORKER = Worker(id="w", host="h", version="0", slots=1, started_at=NOON, seen_at=NOON)
WALLS = Isolation(level=Level.FULL, layers=(Layer(name="seccomp", in_force=True),))


@pytest.fixture
async def claim(store: Store, make_job: Callable[[], Job], activation: Activation) -> Claim:
    given = JobInput(name="in.txt", size_bytes=3, sha256=DIGEST, media_type="text/plain")
    job = await store.run(job_store.submit, job=replace(make_job(), inputs=(given,)), queue_limit=9)
    taken = await store.run(claims.claim, job_id=job.id, token="t", worker=WORKER, at=NOON)
    assert taken
    return taken


def whole(claim: Claim, outcome: Outcome) -> Artifact:
    artifact = assembly.begin(claim, worker=WORKER)
    artifact = assembly.with_environment(
        artifact,
        environment=EnvironmentEntry(
            key="k",
            python="3.12.1",
            platform="x86_64-linux-gnu",
            installed=(InstalledEntry(name="six", version="1.17.0"),),
        ),
        install=InstallEntry(source="wheelhouse", duration_ms=1, reused=True),
        callables=[CallableEntry(role="extract", impl="extract:extract", sha256=DIGEST)],
    )
    artifact = assembly.with_run(artifact, outcome=outcome, limits=Limits())
    output = StoredOutput(path="a.csv", size_bytes=1, sha256=DIGEST, media_type="text/csv")
    artifact = assembly.with_outputs(artifact, outputs=[output], is_partial=not outcome.is_ok)
    later = NOON + timedelta(seconds=1)
    artifact = assembly.with_phase(artifact, phase="extract", started_at=NOON, ended_at=later)
    artifact = assembly.with_hook(artifact, name="on_after_extract", outcome=outcome)
    return assembly.with_ending(
        artifact,
        state=assembly.state_of(outcome),
        error=assembly.error_of(outcome),
        at=later,
    )


GOOD = Outcome(ending=Ending.RETURNED, isolation=WALLS, value={"n": 1, "notes": ["a", "b"]})
BAD = Outcome(
    ending=Ending.RAISED,
    isolation=WALLS,
    failure=Failure(code="package-raised", what="boom", mend="mend it", traceback="…"),
    refusals=(Refusal(path="x", why="a link"),),
    usage=Usage(wall_ms=5, cpu_ms=3, peak_rss_bytes=7),
)
CONNECTED = Outcome(
    ending=Ending.RETURNED,
    isolation=WALLS,
    traffic=Traffic(
        first=(
            Connection(
                host="a.test",
                port=443,
                state="refused",
                why="a.test is not on the list of hosts",
                address="",
                in_bytes=0,
                out_bytes=0,
            ),
        ),
        connections=101,
        refused=101,
    ),
)
STOPPED = Outcome(ending=Ending.CANCELLED, isolation=WALLS)


@pytest.mark.parametrize(
    "outcome", [GOOD, BAD, STOPPED, CONNECTED], ids=["good", "bad", "stopped", "connected"]
)
def test_every_artifact_fits_the_published_schema(claim: Claim, outcome: Outcome) -> None:
    stages = [assembly.begin(claim, worker=WORKER), whole(claim, outcome)]
    for artifact in stages:
        jsonschema_rs.validate(artifact_schema(), json.loads(to_bytes(artifact)))
        assert Artifact.model_validate_json(to_bytes(artifact)) == artifact


def test_it_says_where_a_run_and_its_hook_wanted_to_go(claim: Claim) -> None:
    told = json.loads(to_bytes(whole(claim, CONNECTED)))
    assert (told["traffic"]["connections"], told["traffic"]["refused"]) == (101, 101)
    (first,) = told["traffic"]["first"]
    assert (first["host"], first["port"], first["state"]) == ("a.test", 443, "refused")
    assert told["hooks"][0]["traffic"] == told["traffic"]
    assert json.loads(to_bytes(whole(claim, GOOD)))["traffic"] is None


def test_it_says_what_ran_and_what_came_of_it(claim: Claim) -> None:
    told = json.loads(to_bytes(whole(claim, BAD)))
    assert told["schema"] == 1
    assert told["state"] == told["attempts"][0]["state"] == "failed"
    assert told["error"]["code"] == "package-raised" and told["error"]["kind"] == "package"
    assert told["refusals"] == [{"path": "x", "why": "a link"}]
    assert told["usage"] == {"wall_ms": 5, "cpu_ms": 3, "peak_rss_bytes": 7}
    assert told["is_partial"] and told["timeline"][0]["duration_ms"] == 1000
    assert told["environment"]["installed"][0]["name"] == "six"


def test_it_says_on_which_libraries_of_the_host_it_ran(claim: Claim) -> None:
    libc = HostLibrary(path="/usr/lib/libc.so.6", sha256="sha256:1234")
    outcome = replace(GOOD, isolation=replace(GOOD.isolation, host_libraries=(libc,)))
    told = json.loads(to_bytes(whole(claim, outcome)))
    assert told["isolation"]["host_libraries"] == [asdict(libc)]


def test_notes_of_extract_and_hook_are_kept_in_order(claim: Claim) -> None:
    assert whole(claim, GOOD).notes == ("a", "b", "a", "b")


def test_a_cancelled_run_is_no_failure(claim: Claim) -> None:
    artifact = whole(claim, STOPPED)
    assert (artifact.state, artifact.error) == (State.CANCELLED, None)


def test_the_artifact_tells_whose_file_won_and_what_has_no_source() -> None:
    overlaps = tuple(Overlap(path=f"{n}.py", kept="a", left_out="b") for n in range(150))
    inventory = Inventory(
        key="k",
        lock_digest=DIGEST,
        python="3.12.1",
        soabi="cpython-312",
        platform="x86_64-linux-gnu",
        installed=(),
        overlaps=overlaps,
        files=1,
        size_bytes=1,
        built_at=NOON,
        sourceless=("demo/who.pyc",),
    )
    told = environment_entry(inventory)
    assert told.overlaps[0].model_dump() == {"path": "0.py", "kept": "a", "left_out": "b"}
    assert (len(told.overlaps), told.overlapping) == (100, 150)
    assert (told.sourceless, told.sourceless_modules) == (("demo/who.pyc",), 1)
