"""A relay before a PostgreSQL, which can lose a commit, or the answer to one."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from support.postgres import Postgres, name_in

type Loss = Literal["answer", "commit"]
COMMIT = b"COMMIT\0"
"""As it ends a simple query: https://www.postgresql.org/docs/current/protocol-message-formats.html"""


@dataclass(slots=True, kw_only=True)
class Relay:
    """Lets everything through, but for the commits of which `losing` says what gets lost."""

    folder: Path
    behind: Path
    losing: list[Loss] = field(default_factory=list[Loss])
    lost: threading.Event = field(default_factory=threading.Event)
    is_closed: threading.Event = field(default_factory=threading.Event)

    def url_of(self, url: str) -> str:
        """Return the address of a database by this way."""
        return f"postgresql://fumehood@/{name_in(url)}?host={self.folder}"

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the relay is closed."""
        while not self.is_closed.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self.behind))
            answering = threading.Thread(target=_copy, args=(server, client), daemon=True)
            answering.start()
            while sent := client.recv(1 << 16):
                if self.losing and sent.endswith(COMMIT):
                    return self._lose(self.losing.pop(0), sent, client=client, server=server)
                server.sendall(sent)
        except OSError:
            pass  # one of the two is gone, so the other one goes
        finally:
            for one in (client, server):
                one.close()

    def _lose(
        self, what: Loss, sent: bytes, *, client: socket.socket, server: socket.socket
    ) -> None:
        """Cut the client off, after the commit has reached the server or before."""
        client.shutdown(socket.SHUT_RDWR)
        if what == "answer":
            server.sendall(sent)
            server.shutdown(socket.SHUT_WR)
            while server.recv(1 << 16):
                pass
        self.lost.set()


def _copy(one: socket.socket, other: socket.socket) -> None:
    try:
        while got := one.recv(1 << 16):
            other.sendall(got)
        other.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


@contextmanager
def relay_before(postgres: Postgres, folder: Path) -> Generator[Relay]:
    """Offer a relay before a server that listens to a socket in its folder."""
    name = f".s.PGSQL.{postgres.port}"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / name))
    listener.listen()
    listener.settimeout(0.1)
    relay = Relay(folder=folder, behind=postgres.folder / name)
    serving = threading.Thread(target=relay.serve, args=(listener,), daemon=True)
    serving.start()
    try:
        yield relay
    finally:
        relay.is_closed.set()
        serving.join()
        listener.close()
