"""What the tests of the runtime share: a store in a folder, and jobs to put into it."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.ids import new_id
from runtime.jobs import State
from runtime.records import Activation, Job, PackageVersion, PreparedRecord, RequestContext
from runtime.store import activations, packages
from runtime.store.migrate import migrate
from runtime.store.sqlite import SqliteStore, open_sqlite, sqlite_engine

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "1" * 64


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    path = tmp_path / "fumehood.db"
    engine = sqlite_engine(path)
    migrate(engine, lock_file=tmp_path / "migrate.lock")
    engine.dispose()
    opened = open_sqlite(path)
    yield opened
    await opened.close()


def prepared() -> PreparedRecord:
    return PreparedRecord(
        lock_digest=DIGEST,
        lock="",
        environment_key="key",
        interpreter={},
        inventory={},
        grant={},
        install={},
    )


def version_of(name: str = "hello", version: str = "1.0", digest: str = DIGEST) -> PackageVersion:
    return PackageVersion(
        package=name,
        version=version,
        digest=digest,
        size_bytes=10,
        title="Hello",
        manifest={"name": name},
        requirements=(),
        uploaded_at=NOON,
        uploaded_by="ana",
    )


@pytest.fixture
async def activation(store: SqliteStore) -> Activation:
    """The package hello 1.0, uploaded and active."""
    return await activate(store, version_of())


async def activate(store: SqliteStore, version: PackageVersion) -> Activation:
    await store.run(packages.add_version, version=version)
    asked = await store.run(
        activations.request,
        activation_id=new_id(),
        version=version,
        who="ana",
        reason="test",
        at=NOON,
    )
    await store.run(activations.start, activation_id=asked.id, worker="w", at=NOON)
    return await store.run(
        activations.succeed, activation_id=asked.id, prepared=prepared(), log=[], at=NOON
    )


@pytest.fixture
def make_job(activation: Activation) -> Callable[[], Job]:
    def make() -> Job:
        return Job(
            id=new_id(),
            package=activation.package,
            version=activation.version,
            digest=activation.digest,
            activation_id=activation.id,
            state=State.QUEUED,
            attempt=1,
            parameters={"n": 1},
            inputs=(),
            request=RequestContext(),
            submitted_at=NOON,
            queued_at=NOON,
        )

    return make


@pytest.fixture
def later() -> Callable[[float], datetime]:
    return lambda seconds: NOON + timedelta(seconds=seconds)
