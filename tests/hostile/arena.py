"""The arena: what a host has that must not be reached, and proof that nothing was."""

import contextlib
import dataclasses
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from sandbox.command import Command, Folder, Input, Interpreter, Level, Warmth
from sandbox.limits import Limits

ATTACKS = Path(__file__).with_name("attacks")
LIMITS = Limits(
    wall_s=2.5,
    cpu_s=1.0,
    memory_mb=160,
    processes=24,
    open_files=96,
    output_mb=8,
    output_files=500,
    scratch_mb=16,
    log_kb=256,
    log_lines=2000,
    result_kb=256,
    cpus=2.0,
)
_BARE = """
import importlib, json, sys, types, pathlib
facts = json.load(sys.stdin)
sys.path.insert(0, facts.pop("attacks"))
module, name = facts.pop("target").split(":")
job = types.SimpleNamespace(event=lambda *_a, **_k: None, **facts)
for key in ("output_dir", "scratch_dir"):
    setattr(job, key, pathlib.Path(getattr(job, key)))
job.inputs = [pathlib.Path(path) for path in job.inputs]
try:
    said = getattr(importlib.import_module(module), name)(job=job)
except Exception as fault:
    said = {"worked": False, "why": repr(fault)}
print("\\n" + json.dumps(said))
"""


class Arena:
    """Secrets, servers and a victim on the host, and the facts that an attack is told."""

    def __init__(self, folder: Path, interpreter: Interpreter) -> None:
        self.folder = folder
        self.interpreter = interpreter
        self.secret = "secret-" + secrets.token_hex(8)
        self.mark = "mark-" + secrets.token_hex(8)
        self._stops: list[Callable[[], object]] = []
        self._lay_out()
        self.facts = self._servers() | self._victim() | self._places()

    def close(self) -> None:
        for stop in reversed(self._stops):
            stop()

    def command(self, target: str, *, is_warm: bool, **facts) -> Command:
        return Command(
            target=target,
            handle="job",
            interpreter=self.interpreter,
            limits=LIMITS,
            folders=(
                Folder(name="bundle", source=self.folder / "bundle", on_path=True),
                Folder(
                    name="environment",
                    source=self.folder / "environment",
                    on_path=True,
                    import_root="site-packages",
                ),
            ),
            inputs=(Input(name="input.txt", source=self.folder / "input.txt"),),
            facts=self.facts | facts,
            least=Level.UNPRIVILEGED,
            warmth=Warmth(key="hostile", preload=("traces",)) if is_warm else None,
        )

    def bare(self, target: str, work: Path, **facts) -> dict:
        """Run an attack with no wall around it, as the user of the tests; say what it said."""
        for part in ("output", "scratch"):
            (work / part).mkdir()
        said = {
            **self.facts,
            **facts,
            "attacks": str(ATTACKS),
            "target": target,
            "output_dir": str(work / "output"),
            "scratch_dir": str(work / "scratch"),
            "inputs": [str(self.folder / "input.txt")],
            "worker": os.getpid(),
        }
        done = subprocess.run(
            [sys.executable, "-I", "-c", _BARE],
            input=json.dumps(said),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            start_new_session=True,
        )
        try:
            return json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            return {"worked": False, "why": done.stderr[-500:] or f"exit {done.returncode}"}

    def survivors(self) -> list[int]:
        """Return processes that carry the mark of this arena's attacks."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.mark.encode() in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found

    def assert_unharmed(self) -> None:
        assert (self.folder / "secret.txt").read_text() == self.secret
        assert (self.folder / "input.txt").read_text() == "input"
        assert self._process.poll() is None, "the victim is dead"
        for name, text in self._kept.items():
            assert (self.folder / name).read_bytes() == text, name
        assert not list(self.folder.rglob("planted*"))
        assert not list(self.folder.rglob("sitecustomize.py"))

    def _lay_out(self) -> None:
        files = {
            "secret.txt": self.secret,
            "input.txt": "input",
            "neighbour/input/other.txt": self.secret,
            "other-bundle/extract.py": "SECRET = 1",
            "environment/site-packages/library.py": "VALUE = 1\n",
            "environment/site-packages/__pycache__/library.cpython-312.pyc": "bytecode",
            "environment/site-packages/hook.pth": "import library\n",
            "cache/archive": "cached",
        }
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.folder / "fumehood.db").write_bytes(b"SQLite format 3\0")
        bundle = self.folder / "bundle"
        bundle.mkdir()
        for source in ATTACKS.glob("*.py"):
            (bundle / source.name).write_bytes(source.read_bytes())
        self._kept = {
            str(path.relative_to(self.folder)): path.read_bytes()
            for part in ("environment", "bundle", "other-bundle", "cache", "neighbour")
            for path in (self.folder / part).rglob("*")
            if path.is_file()
        }

    def _servers(self) -> dict:
        name = "fumehood-" + secrets.token_hex(6)
        socket_file = self.folder / "host.sock"
        facts = {
            "tcp_port": self._tell(_bound(socket.AF_INET, ("127.0.0.1", 0))),
            "udp_port": self._answer(_bound(socket.AF_INET, ("127.0.0.1", 0), socket.SOCK_DGRAM)),
            "tcp6_port": 0,
            "abstract_name": name,
            "socket_file": str(socket_file),
            "datagram_file": str(self.folder / "datagrams.sock"),
        }
        if socket.has_ipv6 and Path("/proc/net/if_inet6").exists():
            facts["tcp6_port"] = self._tell(_bound(socket.AF_INET6, ("::1", 0)))
        self._tell(_bound(socket.AF_UNIX, b"\0" + name.encode()))
        datagrams = _bound(socket.AF_UNIX, facts["datagram_file"], socket.SOCK_DGRAM)
        Path(facts["datagram_file"]).chmod(0o777)
        self._drain(datagrams)
        self._tell(_bound(socket.AF_UNIX, str(socket_file)))
        socket_file.chmod(0o777)
        return facts

    def _tell(self, listener: socket.socket) -> int:
        """Tell the secret to whoever connects."""
        listener.listen(64)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(self.secret.encode())

        return self._serve(listener, serve)

    def _answer(self, sock: socket.socket) -> int:
        def serve() -> None:
            while True:
                try:
                    _, sender = sock.recvfrom(100)
                    if sender is None:  # shut down
                        return
                    sock.sendto(self.secret.encode(), sender)
                except OSError:
                    return

        return self._serve(sock, serve)

    def _drain(self, sock: socket.socket) -> None:
        """Take what comes: a full queue would hold up whoever sends."""

        def serve() -> None:
            with contextlib.suppress(OSError):
                while sock.recv(100):
                    pass

        self._serve(sock, serve)

    def _serve(self, sock: socket.socket, serve: Callable[[], None]) -> int:
        threading.Thread(target=serve, daemon=True).start()
        self._stops.append(lambda: _shut(sock))
        name = sock.getsockname()
        return name[1] if isinstance(name, tuple) else 0

    def _victim(self) -> dict:
        """Start a process of ours that holds the secret in memory and environment."""
        code = (
            "import ctypes, sys, time\n"
            "held = ctypes.create_string_buffer(sys.argv[1].encode())\n"
            "print(ctypes.addressof(held), flush=True)\n"
            "time.sleep(3600)\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", code, self.secret],
            env=os.environ | {"VICTIM": self.secret},
            cwd=self.folder,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        address = int(self._process.stdout.readline())
        self._stops.append(lambda: (self._process.kill(), self._process.wait()))
        return {"victim": self._process.pid, "victim_address": address}

    def _places(self) -> dict:
        copy = self.folder / "executable-copy"
        copy.write_bytes(b"\x7fELF")
        copy.chmod(0o777)
        return {
            **{field.name: getattr(LIMITS, field.name) for field in dataclasses.fields(LIMITS)},
            "secret": self.secret,
            "secret_file": str(self.folder / "secret.txt"),
            "account": "root:",
            "host_name": os.uname().nodename,
            "host_marker": self.folder.name,
            "host_marker_folder": str(self.folder.parent),
            "database": str(self.folder / "fumehood.db"),
            "neighbour_input": str(self.folder / "neighbour/input/other.txt"),
            "other_bundle": str(self.folder / "other-bundle"),
            "environment_file": str(self.folder / "environment/site-packages/library.py"),
            "leasable_file": str(self.folder / "environment/site-packages/hook.pth"),
            "bytecode_file": str(
                self.folder / "environment/site-packages/__pycache__/library.cpython-312.pyc"
            ),
            "bundle_file": str(self.folder / "bundle/files.py"),
            "interpreter_file": str(self.folder / "executable-copy"),
            "runner_file": str(self.folder / "executable-copy"),
            "writable_copy": str(copy),
            "cache_file": str(self.folder / "cache/archive"),
            "mark": self.mark,
            "sleeper": [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"],
            "patience_s": 2.0,
            "hold_s": 0.2,
            "worker": os.getpid(),
            "rendezvous": self.mark,
        }


def _shut(sock: socket.socket) -> None:
    """Wake the thread that waits on the socket, then close it."""
    with contextlib.suppress(OSError):  # a datagram socket says that it is not connected
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _bound(family: int, address, kind: int = socket.SOCK_STREAM) -> socket.socket:
    sock = socket.socket(family, kind)
    sock.bind(address)
    return sock
