"""What the tests of the runtime share: a store in a folder, and a real server."""

import asyncio
import io
import json
import os
import subprocess
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.postgres import Postgres, name_in, postgres_server
from support.preloaded.starting import start

from runtime.home.socket import short_of
from runtime.store.databases.database import database_at
from runtime.store.databases.store import Store
from runtime.store.packages import activations, packages
from runtime.values.ids import new_id
from runtime.values.records import (
    Activation,
    Job,
    PackageVersion,
    PreparedRecord,
    RequestContext,
    Worker,
)
from runtime.values.states import State

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "1" * 64


@asynccontextmanager
async def fresh_store(folder: Path, *, url: str = "") -> AsyncIterator[Store]:
    """Offer a new store in `folder`, or in the empty database at `url`."""
    database = database_at(url, home=folder)
    await asyncio.to_thread(database.migrate)
    opened = database.open(is_apart=True)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this session."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> str:
    """The name of a database that has all tables, and nobody connected to it."""
    url = postgres.new_database()
    with ThreadPoolExecutor(1) as elsewhere:  # here a loop may run, and this has one of its own
        elsewhere.submit(database_at(url, home=Path()).migrate).result()
    return name_in(url)


@pytest.fixture
def database_url(postgres: Postgres, migrated: str) -> Iterator[str]:
    """The address of a new database with all tables."""
    url = postgres.new_database(template=migrated)
    yield url
    postgres.drop(url)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """What gives the address of one new database after the other, of each of the two kinds."""
    if request.param == "sqlite":
        yield str
        return
    server: Postgres = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("migrated")
    made: list[str] = []

    def new() -> str:
        made.append(server.new_database(template=template))
        return made[-1]

    yield new
    for url in made:
        server.drop(url)


@pytest.fixture
async def in_sqlite(tmp_path: Path) -> AsyncIterator[Store]:
    """A new store in SQLite, for what is asked of that only."""
    async with fresh_store(tmp_path) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
async def store(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A new store, in each of the two databases that there are."""
    url = request.getfixturevalue("database_url") if request.param == "postgres" else ""
    async with fresh_store(tmp_path, url=url) as opened:
        yield opened


def prepared() -> PreparedRecord:
    return PreparedRecord(
        lock_digest=DIGEST,
        lock="",
        environment_key="key",
        interpreter={
            "executable": "/usr/bin/python3",
            "prefix": "/usr",
            "version": "3.12.1",
            "soabi": "cpython-312-x86_64-linux-gnu",
        },
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
async def activation(store: Store) -> Activation:
    """The package hello 1.0, uploaded and active."""
    return await activate(store, version_of())


async def activate(store: Store, version: PackageVersion) -> Activation:
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
    return lambda: job_on(activation)


def job_on(activation: Activation) -> Job:
    return Job(
        id=new_id(),
        package=activation.package,
        version=activation.version,
        digest=activation.digest,
        activation_id=activation.id,
        platform="",
        state=State.QUEUED,
        attempt=1,
        parameters={"n": 1},
        inputs=(),
        request=RequestContext(),
        submitted_at=NOON,
        queued_at=NOON,
        due_at=NOON,
    )


def worker_named(name: str) -> Worker:
    return Worker(id=name, host="h", version="0", slots=1, started_at=NOON, seen_at=NOON)


@pytest.fixture
def later() -> Callable[[float], datetime]:
    return lambda seconds: NOON + timedelta(seconds=seconds)


BUNDLES = Path(__file__).parent / "bundles"
PATIENCE_S = 60.0


def zipped(name: str, *, changes: Mapping[str, str] | None = None) -> bytes:
    """Return a bundle of the folder `bundles` as a zip, some of its files replaced.

    The bytes are those that `fumehood package upload` makes of the folder.
    """
    folder = BUNDLES / name
    files = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in (files | dict(changes or {})).items():
            entry = zipfile.ZipInfo(path)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, text)
    return content.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A real `fumehood up`, and how a caller reaches it."""

    url: str
    home: Path
    process: subprocess.Popen[str]
    http: httpx2.Client
    login: str = ""
    """The link that it printed; good once."""

    def activate(self, content: bytes) -> dict[str, Any]:
        """Upload a bundle and wait for its activation; return the activation."""
        uploaded = self.http.post("/v1/packages", content=content)
        assert uploaded.status_code in (200, 201), uploaded.text
        version = uploaded.json()
        path = f"/v1/packages/{version['package']}/versions/{version['version']}/activate"
        asked = self.http.post(path)
        assert asked.status_code == 202, asked.text
        place = asked.headers["location"]
        return self.until(place, lambda one: one["state"] in ("succeeded", "failed"))

    def submit(
        self, package: str, *, files: Mapping[str, bytes] | None = None, **parameters: Any
    ) -> httpx2.Response:
        """Submit a job; return the answer."""
        order = {"package": package, "parameters": parameters}
        if not files:
            return self.http.post("/v1/jobs", json=order)
        sent = [("input", (name, content)) for name, content in files.items()]
        return self.http.post("/v1/jobs", data={"job": json.dumps(order)}, files=sent)

    def ended(self, job_id: str) -> dict[str, Any]:
        """Wait until a job has ended; return it."""
        final = ("succeeded", "failed", "cancelled")
        return self.until(f"/v1/jobs/{job_id}", lambda job: job["state"] in final)

    def until(self, path: str, is_so: Callable[[Any], bool]) -> Any:
        """Ask for `path` until what it answers is so."""
        begun = time.monotonic()
        while (waited_s := time.monotonic() - begun) < PATIENCE_S:
            answer = self.http.get(path).json()
            if is_so(answer):
                return answer
            # An answer is milliseconds of processor time: who waits for long asks less often.
            time.sleep(min(0.01 + waited_s / 10, 0.25))
        raise AssertionError(f"{path} did not come to it: {answer}")

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """Return the stored events of a job."""
        lines = self.http.get(f"/v1/jobs/{job_id}/events").text.splitlines()
        return [json.loads(line) for line in lines]

    def command(self, *words: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command line against this server."""
        environ = {"FUMEHOOD_URL": self.url, "FUMEHOOD_TOKEN": self.token}
        return run_command(*words, environ=environ, stdin=stdin)

    @property
    def token(self) -> str:
        """Return the token of an admin, with which the tests come in by the port."""
        return self.http.headers["authorization"].removeprefix("Bearer ")

    def token_for(self, *scopes: str, packages: Sequence[str] = ()) -> str:
        """Return a new token with these scopes."""
        name = f"t-{new_id()}"
        order = {"name": name, "scopes": scopes, "packages": packages}
        made = self.http.post("/v1/tokens", json=order)
        assert made.status_code == 201, made.text
        return made.json()["token"]

    @contextmanager
    def as_(self, token: str | None) -> Iterator[httpx2.Client]:
        """Offer a client that comes by the port with `token`, or with none."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx2.Client(
            base_url=self.url, timeout=PATIENCE_S, trust_env=False, headers=headers
        ) as client:
            yield client

    @contextmanager
    def at_home(self) -> Iterator[httpx2.Client]:
        """Offer a client that comes by the socket in the home, as its owner."""
        with (
            short_of(self.home) as path,
            httpx2.Client(
                base_url="http://localhost",
                timeout=PATIENCE_S,
                trust_env=False,
                transport=httpx2.HTTPTransport(uds=path),
            ) as client,
        ):
            yield client


def start_command(
    *words: str | Path, environ: Mapping[str, str], is_real: bool = False
) -> subprocess.Popen[str]:
    """Start the command line; what it says is read by `communicate`."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return start(words, environ=clean_environ() | dict(environ), is_real=is_real, **pipes)


def run_command(
    *words: str | Path,
    environ: Mapping[str, str],
    stdin: str = "",
    within: Sequence[str] = (),
    umask: int = -1,
    is_real: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run the command line; `within` and `is_real` are as for `start`."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    options = {"within": within, "umask": umask, "is_real": is_real}
    with start(words, environ=clean_environ() | dict(environ), **options, **pipes) as process:
        try:
            said = process.communicate(stdin, timeout=PATIENCE_S)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


def clean_environ() -> dict[str, str]:
    """Return our environment without settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FUMEHOOD_")}


@contextmanager
def running(
    home: Path, *, within: Sequence[str] = (), is_real: bool = False, **settings: str
) -> Iterator[Server]:
    """Offer a server of our own that keeps its things in `home`; it is stopped afterwards.

    `within` is a command that the server is started by, such as unshare(1); it is then reached
    by the socket in its home. `is_real` is as for `start`.
    """
    unhurried = {"requests_per_minute": "1000000"} | settings
    environ = {f"FUMEHOOD_{name.upper()}": value for name, value in unhurried.items()}
    log = (home.parent / f"{home.name}.log").open("a")
    process = start(
        ["up", "--port", "0", "--json", "--home", home],
        environ=clean_environ() | environ,
        within=within,
        is_real=is_real,
        stdout=subprocess.PIPE,
        stderr=log,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line, Path(log.name).read_text()
        told = json.loads(line)
        url = told["url"]
        way = httpx2.HTTPTransport(uds=str(home / "fumehood.sock")) if within else None
        with httpx2.Client(
            base_url=url, timeout=PATIENCE_S, trust_env=False, transport=way
        ) as client:
            server = Server(url=url, home=home, process=process, http=client, login=told["login"])
            if not within:
                with server.at_home() as owner:
                    order = {"name": f"tests-{new_id()}", "scopes": ["admin"]}
                    made = owner.post("/v1/tokens", json=order)
                assert made.status_code == 201, made.text
                client.headers["Authorization"] = f"Bearer {made.json()['token']}"
            yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE_S)
        finally:
            process.kill()
            process.wait()
            log.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests share; each uses packages and jobs of its own.

    Most of what may hold an event loop is asked of this one, so it was really started.
    """
    with running(tmp_path_factory.mktemp("appliance") / "home", is_real=True) as one:
        yield one


@pytest.fixture(scope="session")
def counting(server: Server) -> Server:
    """The shared server, with the package counts-words active."""
    activation = server.activate(zipped("counts-words"))
    assert activation["state"] == "succeeded", activation
    return server
