"""A server that speaks S3, started on a free port: moto's, which knows conditional puts."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

SERVE = """
import sys
from moto.server import ThreadedMotoServer

def start(port):
    server = ThreadedMotoServer(sys.argv[1], port, verbose=False)
    server.start()
    return server, server.get_host_and_port()[1]

server, port = start(int(sys.argv[2]))
print(port, flush=True)
for line in sys.stdin:
    if line == "away\\n":
        server.stop()
    else:
        server, _ = start(port)
    print("done", flush=True)
"""


MAKE_BUCKET = """
import sys
from urllib.request import Request, urlopen
urlopen(Request(sys.argv[1], method="PUT"), timeout=30).close()
"""


@dataclass(slots=True, kw_only=True)
class S3:
    """A server with one bucket; what it keeps is gone when it is stopped."""

    host: str = "127.0.0.1"
    port: int = 0
    within: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None

    @property
    def endpoint(self) -> str:
        """Return its address."""
        return f"http://{self.host}:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """Return what a client of it needs in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "ana",
            "AWS_SECRET_ACCESS_KEY": "secret-of-ana",
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start the server, with an empty bucket."""
        self.process = subprocess.Popen(
            [*self.within, sys.executable, "-c", SERVE, self.host, str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        words = [*self.within, sys.executable, "-c", MAKE_BUCKET, f"{self.endpoint}/bucket"]
        subprocess.run(words, check=True, timeout=60)

    def be_away(self) -> None:
        """Refuse every connection, and keep what is there."""
        self._ask("away")

    def be_back(self) -> None:
        """Answer again."""
        self._ask("back")

    def _ask(self, word: str) -> None:
        assert self.process and self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        """Let the server die at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def s3_server(
    *, host: str = "127.0.0.1", port: int = 0, within: tuple[str, ...] = ()
) -> Iterator[S3]:
    """Offer a server of our own; `within` is a command that it is started by."""
    server = S3(host=host, port=port, within=within)
    server.start()
    try:
        yield server
    finally:
        server.kill()
