"""A proxy on this machine that tunnels (CONNECT) for those who know its password."""

import base64
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Tunnels:
    """A running proxy: its address with the login in it, and where it was asked to lead."""

    url: str
    asked: list[str] = field(default_factory=list[str])


@contextmanager
def proxy_of(login: tuple[str, str]) -> Iterator[Tunnels]:
    """Run a proxy at a free port."""
    wanted = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"
    tunnels = Tunnels("")

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            if self.headers.get("Proxy-Authorization") != wanted:
                self.send_response(407)
                self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
                self.end_headers()
                return
            tunnels.asked.append(self.path)
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port))) as there:
                self.send_response(200)
                self.end_headers()
                relay(self.connection, there)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tunnels.url = f"http://{login[0]}:{login[1]}@127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield tunnels
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def relay(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes both ways until either side ends."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            chunk = ready.recv(1 << 16)
            if not chunk:
                return
            (other if ready is one else one).sendall(chunk)
