"""What the tests of this room share: a real sandbox, a house, and a workshop of real parts."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from support.wheels import UPLOADED, make_wheel
from support.world import open_folder

from packages.bundle.manifest import Manifest
from packages.bundle.requirements import Requirements, parse
from packages.environment.building import Builder
from packages.environment.environment import Environments
from packages.index.index import Index
from packages.interpreters import running
from packages.lock.grant import Ceiling, GateState, Grant, decide
from packages.lock.locker import Locker
from sandbox.command import Interpreter
from sandbox.sandbox import Sandbox
from wheelhouse.durable import remove_tree
from wheelhouse.lacking.missing import MissingList
from wheelhouse.store import Wheel, Wheelhouse


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def world() -> Iterator[Path]:
    """A folder that cells, which are other users, may enter; it holds all homes."""
    with open_folder() as folder:
        yield folder
        remove_tree(folder)


@pytest.fixture
def home(world: Path) -> Path:
    """A fresh data folder."""
    folder = Path(tempfile.mkdtemp(prefix="home-", dir=world))
    folder.chmod(0o755)
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox(world: Path) -> AsyncIterator[Sandbox]:
    """The real sandbox."""
    opened = await Sandbox.open(world)
    yield opened
    await opened.close()


@pytest.fixture
def house(home: Path) -> Wheelhouse:
    """An empty wheelhouse."""
    return Wheelhouse(home / "wheelhouse")


@pytest.fixture
def add(house: Wheelhouse, tmp_path: Path) -> Callable[..., Wheel]:
    """Adds a tiny wheel to the house: add("demo", "1.0", requires=["six"])."""

    def adding(name: str, version: str = "1.0", **facts: object) -> Wheel:
        path = make_wheel(tmp_path / "made", name, version, **facts)  # type: ignore[arg-type]
        return house.add(path, origin=UPLOADED)

    return adding


@pytest.fixture
def interpreter() -> Interpreter:
    """The base of the Python that runs the tests."""
    return running()


@pytest.fixture
def index() -> Index:
    """The index that uv uses by itself, with this machine's CA."""
    bundle = os.environ.get("SSL_CERT_FILE")
    return Index(ca_bundle=Path(bundle) if bundle else None)


@pytest.fixture
def locker(house: Wheelhouse, index: Index) -> Locker:
    """A locker on the house."""
    missing = MissingList(house.root / "missing")
    return Locker(wheelhouse=house, clock=utc_now, index=index, missing=missing)


@pytest.fixture
def environments(home: Path, house: Wheelhouse, sandbox: Sandbox) -> Environments:
    """A store of environments that compiles in real cells."""
    builder = Builder(wheelhouse=house, run=sandbox.run, clock=utc_now)
    return Environments(root=home / "environments", builder=builder)


@pytest.fixture
def closed() -> Grant:
    """What a plain manifest is granted while the gate is closed."""
    return grant_with(GateState())


@pytest.fixture
def opened() -> Grant:
    """What a plain manifest is granted while the gate is open."""
    return grant_with(GateState(is_open=True, who="ana", reason="tests"))


def grant_with(gate: GateState, *, ceiling: Ceiling | None = None) -> Grant:
    """Return what a plain manifest is granted."""
    manifest = Manifest.model_validate({"schema": 1, "name": "demo", "version": "1.0"})
    return decide(manifest, ceiling=ceiling or Ceiling(), gate=gate)


@pytest.fixture
def wants() -> Callable[[str], Requirements]:
    """Parses requirements: wants("a>=1, b") asks for two."""

    def wanting(text: str) -> Requirements:
        lines = "\n".join(part.strip() for part in text.split("|"))
        wanted, problems = parse({"requirements.txt": lines.encode()})
        assert problems == []
        return wanted

    return wanting
