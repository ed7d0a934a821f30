"""An appliance of the bench's own, and a client that costs so little that it measures the other.

The client speaks as much HTTP as the appliance answers with; a whole client library would take
as much processor time as what is measured.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FUMEHOOD = (str(Path(sys.executable).with_name("fumehood")),)


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running appliance: its process, and the socket in its home."""

    process: subprocess.Popen[str]
    home: Path

    @property
    def socket(self) -> Path:
        """Return where its owner reaches it, without a token."""
        return self.home / "fumehood.sock"

    def cpu_s(self) -> float:
        """Return the processor seconds that the process took so far, without its cells."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self) -> int:
        """Return the memory that the process has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024


@contextmanager
def served(
    home: Path | None = None, *, command: Sequence[str] = FUMEHOOD, **settings: object
) -> Iterator[Served]:
    """Run an appliance in `home`, or in one that is gone afterwards."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FUMEHOOD_")}
    clean.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed appliance has its bytecode
    wished = {f"FUMEHOOD_{name.upper()}": str(value) for name, value in settings.items()}
    with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        home = home or Path(folder) / "home"
        with (Path(folder) / "log").open("w") as log:
            process = subprocess.Popen(
                [*command, "up", "--port", "0", "--json", "--home", home],
                env=clean | wished,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            try:
                if process.stdout is None or not process.stdout.readline():
                    raise RuntimeError((Path(folder) / "log").read_text())
                yield Served(process=process, home=home)
            finally:
                process.terminate()
                process.wait()


class Client:
    """One kept connection to the home's socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def __aenter__(self) -> "Client":
        """Connect."""
        self._reader, self._writer = await asyncio.open_unix_connection(self._socket)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        self._writer.close()

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return the status and the content of an answer."""
        await self.send(method, path, body, headers)
        raw = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = raw.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return int(raw[9:12]), await self._reader.readexactly(int(length or 0))

    async def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a request, and leave its answer aside."""
        fields = {"Host": "localhost", "Content-Length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        if self._reader.at_eof():  # it was hung up on while it had nothing to ask
            self._writer.close()
            await self.__aenter__()
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        await self._writer.drain()

    @property
    def socket(self) -> Path:
        """Return where it is connected to."""
        return self._socket

    async def line_with(self, word: bytes) -> Any:
        """Return the next line of a stream that has `word` in it, as JSON."""
        while True:
            line = (await self._reader.readline()).strip().removeprefix(b"data:").strip()
            if word in line and line.startswith(b"{"):
                return json.loads(line)

    async def json(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return what is answered, as JSON; an answer that says no is an error."""
        sent = b"" if body is None else json.dumps(body).encode()
        wished = {"Content-Type": "application/json", **headers}
        status, content = await self.ask(method, path, sent, wished)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {content.decode()}")
        return json.loads(content)

    async def activate(self, bundle: bytes) -> None:
        """Upload a bundle and make it the active version of its package."""
        status, content = await self.ask("POST", "/v1/packages", bundle)
        if status >= 300:
            raise RuntimeError(content.decode())
        made = json.loads(content)
        path = f"/v1/packages/{made['package']}/versions/{made['version']}/activate"
        ended = await self.json("POST", path, {}, Prefer="wait=120")
        if ended["state"] != "succeeded":
            raise RuntimeError(json.dumps(ended["problems"]))
