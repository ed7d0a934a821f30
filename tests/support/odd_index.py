"""An index that answers what a test wants: links to anywhere, redirects, endless pages."""

import contextlib
import hashlib
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

type Routes = Mapping[str, Callable[[BaseHTTPRequestHandler], None]]


@dataclass(slots=True)
class Odd:
    """A running index: its port, and what was asked of it with which Authorization."""

    port: int
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    routes: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return its address as an index."""
        return f"http://127.0.0.1:{self.port}/simple/"

    def at(self, path: str) -> str:
        """Return the address of `path`."""
        return f"http://127.0.0.1:{self.port}{path}"

    def paths(self) -> list[str]:
        """Return what was asked for."""
        return [path for path, _ in self.asked]


@contextmanager
def odd_index(routes: Routes | None = None) -> Iterator[Odd]:
    """Serve `routes` at a free port; more may be added to it later."""
    odd = Odd(0, routes=dict(routes or {}))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            odd.asked.append((path, self.headers.get("Authorization", "")))
            with contextlib.suppress(OSError):
                odd.routes.get(path, missing)(self)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    odd.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield odd
    finally:
        server.shutdown()
        server.socket.close()
        thread.join()


def missing(handler: BaseHTTPRequestHandler) -> None:
    """Answer that there is nothing."""
    answered(handler, 404)


def answered(
    handler: BaseHTTPRequestHandler, status: int = 200, body: bytes = b"", **headers: str
) -> None:
    """Send one whole answer."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def says(body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a route that answers `body`."""
    return lambda handler: answered(handler, 200, body, **{"Content_Type": "text/html", **headers})


def leads_to(url: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a route that redirects."""
    return lambda handler: answered(handler, 302, Location=url)


def lists(*files: tuple[str, Path], digest: bool = True, more: str = "") -> bytes:
    """Return a page that links to (address, wheel) pairs."""
    lines = [
        f'<a href="{url}{_fragment(file, digest)}"{more}>{file.name}</a>' for url, file in files
    ]
    return b"<!DOCTYPE html><html><body>" + "\n".join(lines).encode() + b"</body></html>"


def _fragment(file: Path, digest: bool) -> str:  # noqa: FBT001
    return f"#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}" if digest else ""


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Send a page without an end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    while True:
        handler.wfile.write(b"<a href=x>x</a> " * 4096)


def bomb(handler: BaseHTTPRequestHandler) -> None:
    """Send a small gzip of 1 GB of blanks."""
    packing = zlib.compressobj(9, wbits=31)
    body = b"".join(packing.compress(b" " * (1 << 20)) for _ in range(1024)) + packing.flush()
    answered(handler, 200, body, Content_Type="text/html", Content_Encoding="gzip")
