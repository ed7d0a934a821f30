"""A Redis of Debian's package, started on a socket or a port of its own."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .lacking import lacking


@dataclass(slots=True, kw_only=True)
class Redis:
    """A server that can die and be started again; it keeps nothing on the disk."""

    program: str
    folder: Path
    host: str = ""
    port: int = 0
    within: tuple[str, ...] = ()
    more: tuple[str | Path, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"redis://{self.host}:{self.port}" if self.host else f"unix://{self.socket}"

    @property
    def socket(self) -> Path:
        """Return its socket."""
        return self.folder / "redis.sock"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        words = ["--save", "", "--appendonly", "no", "--dir", self.folder]
        words += ["--unixsocket", self.socket, "--port", str(self.port)]
        words += ["--bind", self.host or "127.0.0.1", "--protected-mode", "no", *self.more]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, self.program, *words], stdout=log, stderr=log
            )
        for _ in range(1000):
            if self.ask("PING") == "PONG":
                return
            time.sleep(0.01)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """Let the server die at once, with all that it knows."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, *words: str) -> str:
        """Return what the server answers."""
        command = ["redis-cli", "-s", self.socket, *words]
        return subprocess.run(command, capture_output=True, check=False).stdout.decode().strip()


@contextlib.contextmanager
def redis_server(
    *,
    host: str = "",
    port: int = 0,
    within: tuple[str, ...] = (),
    program: str | None = None,
    more: tuple[str | Path, ...] = (),
) -> Iterator[Redis]:
    """Offer a server of our own; `within` is a command that it is started by.

    `program` is another one than Debian's, and `more` are words for it.
    """
    program = program or shutil.which("redis-server")
    if program is None:
        lacking("redis-server (apt-get install redis-server)")
    folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
    server = Redis(program=program, folder=folder, host=host, port=port, within=within, more=more)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
