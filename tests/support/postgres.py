"""A PostgreSQL of Debian's package, started on a socket of its own, with a database for each test."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from .lacking import lacking

# Nothing that a test leaves has to survive a power cut.
QUICK = ("fsync=off", "full_page_writes=off")


def postgres_programs() -> Path:
    """Return the folder of `initdb` and `postgres`; skip the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        lacking("PostgreSQL (apt-get install postgresql)")
    return found[-1].parent


@dataclass(slots=True, kw_only=True)
class Postgres:
    """A server that can be stopped and started again; its databases stay."""

    folder: Path
    programs: Path
    user: str | None
    port: int = 5432
    listens_on: str = ""
    within: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    numbers: Iterator[int] = field(default_factory=count)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        words = [
            *self.within,
            *_as_user(self.user, self.within),
            self.programs / "postgres",
            "-D",
            self.folder / "data",
            "-k",
            self.folder,
        ]
        words += ["-p", str(self.port), "-h", self.listens_on]
        words += [word for setting in QUICK for word in ("-c", setting)]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            words,
            user=None if self.within else self.user,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        for _ in range(600):
            if self._run("pg_isready", "-q", "-h", self.folder, check=False).returncode == 0:
                return
            if self.process.poll() is not None:
                break
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """Let the server die at once, its connections with it."""
        if self.process is not None:
            # SIGQUIT: an immediate shutdown, as after a crash (postgres(1)).
            self.process.send_signal(3)
            self.process.wait(30)
            self.process = None

    def new_database(self, *, template: str = "template1") -> str:
        """Return the address of a new database."""
        name = f"test{next(self.numbers)}_{os.getpid()}"
        self._run("createdb", "-h", self.folder, "-U", "fumehood", "-T", template, name)
        return self.url_of(name)

    def url_of(self, name: str) -> str:
        """Return the address of the database `name`."""
        if self.listens_on:
            return f"postgresql://fumehood@{self.listens_on}:{self.port}/{name}"
        return f"postgresql://fumehood@/{name}?host={self.folder}"

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        name = name_in(url)
        self._run("dropdb", "-f", "-h", self.folder, "-U", "fumehood", name)

    def sql(self, url: str, statement: str) -> str:
        """Return what psql prints for `statement`."""
        name = name_in(url)
        words = ("-h", self.folder, "-U", "fumehood", "-d", name, "-AtXqc", statement)
        return self._run("psql", *words).stdout.decode()

    def _run(
        self, program: str, *words: str | Path, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        environ = os.environ | {"PGPORT": str(self.port)}
        done = subprocess.run(
            [self.programs / program, *words], capture_output=True, check=False, env=environ
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done


def _as_user(user: str | None, within: tuple[str, ...]) -> list[str]:
    """Return how to become the server's user behind a command that only root may start."""
    return (
        ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if user and within else []
    )


def name_in(url: str) -> str:
    """Return the name of the database in an address."""
    return url.partition("?")[0].rpartition("/")[2]


@contextmanager
def postgres_server(
    *, port: int = 5432, listens_on: str = "", within: tuple[str, ...] = ()
) -> Iterator[Postgres]:
    """Offer a server of our own; `within` is a command that it is started by."""
    programs = postgres_programs()
    # It refuses to run as root, and whom it runs as has to get to its folder.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if user:
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    folder.chmod(0o755)
    words = [programs / "initdb", "-D", folder / "data", "-U", "fumehood", "-A", "trust"]
    subprocess.run(
        [*words, "-N", "-E", "UTF8", "--locale=C.UTF-8"],
        user=user,
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
    )
    server = Postgres(
        folder=folder,
        programs=programs,
        user=user,
        port=port,
        listens_on=listens_on,
        within=within,
    )
    if listens_on:
        with (folder / "data/pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.0.0/16 trust\n")
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
