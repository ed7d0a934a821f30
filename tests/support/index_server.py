"""A private package index on this machine, rendered by the house's own pages, with a password."""

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from wheelhouse.index import (
    JSON_MEDIA_TYPE,
    negotiate,
    project_html,
    project_json,
    root_html,
    root_json,
)
from wheelhouse.store import Wheelhouse


@dataclass(slots=True)
class Served:
    """A running index: its address, and what was asked of it."""

    url: str
    asked: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])


@contextmanager
def index_of(
    house: Wheelhouse,
    *,
    login: tuple[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    before: Callable[[str], None] = lambda path: None,
    further: Mapping[str, Path] | None = None,
) -> Iterator[Served]:
    """Serve `house` at a free port; where there is a `login`, to no one else.

    `before` is called with each path before it is answered. `further` has files of
    distributions that are not wheels.
    """
    served = Served("")
    wanted = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}" if login else None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if wanted and self.headers.get("Authorization") != wanted:
                served.refused.append(path)
                self.answer(401, b"", "text/plain")
                return
            served.asked.append(path)
            before(path)
            if found := plain_page(further or {}, path):
                self.answer(200, found, "text/html")
            else:
                self.answer(*page(house, path, self.headers.get("Accept", "")))

        def answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # uv hangs up when it knows enough
                super().handle()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"
    served.url = f"{scheme}://127.0.0.1:{server.server_port}/simple/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def plain_page(further: Mapping[str, Path], path: str) -> bytes:
    """Return the page that links to a file of `further`, or that file; empty for neither."""
    for name, file in further.items():
        if path == f"/simple/{name}/":
            return f'<a href="/further/{file.name}">{file.name}</a>'.encode()
        if path == f"/further/{file.name}":
            return file.read_bytes()
    return b""


def page(house: Wheelhouse, path: str, accept: str) -> tuple[int, bytes, str]:
    """Return status, body and media type of what is at `path`."""
    parts = [part for part in path.split("/") if part]
    form = negotiate(accept) or "text/html"
    if parts == ["simple"]:
        names = house.names()
        text = json.dumps(root_json(names)) if form == JSON_MEDIA_TYPE else root_html(names)
        return 200, text.encode(), form
    if len(parts) == 2 and parts[0] == "simple":
        files = [wheel.index_file() for wheel in house.find(parts[1])]
        if not files:
            return 404, b"", "text/plain"
        render = project_json if form == JSON_MEDIA_TYPE else project_html
        told = render(parts[1], files, address=lambda file: f"/files/{file.sha256}/{file.filename}")
        return 200, (told if isinstance(told, str) else json.dumps(told)).encode(), form
    if len(parts) == 3 and parts[0] == "files":
        wheel = house.get(f"sha256:{parts[1]}")
        file = house.path(wheel).with_name(parts[2])
        return 200, file.read_bytes(), "application/octet-stream"
    return 404, b"", "text/plain"
