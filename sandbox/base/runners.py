"""The runner's code as a cell has it: byte-compiled once for each Python, in a folder of ours.

What is compiled is all of sandbox/inside/, whatever its modules are called; a cell sees it as the
package `fumehood_inside` and starts `start.pyc` in there.
"""

import asyncio
import hashlib
import shutil
import subprocess
from pathlib import Path

from frozen.values import frozen
from sandbox.base import prepared
from sandbox.command import Interpreter
from sandbox.errors import CellUnstartableError

_INSIDE = Path(__file__).parents[1] / "inside"
_COMPILE = Path(__file__).with_name("compile_inside.py")
_PACKAGE = "fumehood_inside"
MODES = ("cold", "subreaper", "warm.warden", "warm.subreaper_warden")
"""The modules of inside/ that a cell may be started with."""


@frozen
class Runner:
    """What starts in a cell, for one interpreter."""

    interpreter: Interpreter
    code: Path
    """The folder on the host that holds the package."""
    library_path: str
    """Where the interpreter's shared library is, unless it finds that itself."""

    def argv(self, kind: str, *, seen_at: str, channel_fd: int) -> list[str]:
        """Return how it is started as `kind`, a module of inside/; `seen_at` is where its code is.

        Isolated and without site (-I, -S), since nothing of an author's may run before the walls
        stand, and without writing bytecode (-B) to where nobody may write.
        """
        start = f"{seen_at}/{_PACKAGE}/start.pyc"
        executable = str(self.interpreter.executable)
        return [executable, "-I", "-S", "-B", start, str(channel_fd), kind]


class Runners:
    """The runners that one worker has made ready, by interpreter."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ready: dict[Interpreter, Runner] = {}

    async def of(self, interpreter: Interpreter) -> Runner:
        """Return the runner for this interpreter. Raises CellUnstartableError."""
        known = self._ready.get(interpreter)
        if known is None:
            known = await asyncio.to_thread(_runner, self._home, interpreter)
            self._ready[interpreter] = known
        return known


def _runner(home: Path, interpreter: Interpreter) -> Runner:
    return Runner(
        interpreter=interpreter,
        library_path=_library_path(interpreter),
        code=compiled(home, interpreter),
    )


def compiled(home: Path, interpreter: Interpreter) -> Path:
    """Return the folder with the code for this interpreter; compile it if it is not there.

    The name tells all that the bytecode depends on: the sources, what they may be started as, and
    the very version, since a patch release may change the format.
    """
    digest = hashlib.sha256(" ".join(MODES).encode())
    for source in (*sorted(_INSIDE.rglob("*.py")), _COMPILE):
        digest.update(source.read_bytes())
    name = f"inside-{digest.hexdigest()[:16]}-{interpreter.soabi}-{interpreter.version}"
    folder = home / name
    if folder.exists():
        return folder
    fresh = prepared.fresh(folder)
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_INSIDE, fresh / _PACKAGE, ignore=unwanted, dirs_exist_ok=True)
    _compile(interpreter, fresh / _PACKAGE)
    prepared.publish(fresh, folder)
    return folder


def _compile(interpreter: Interpreter, folder: Path) -> None:
    done = subprocess.run(
        [interpreter.executable, "-I", "-S", _COMPILE, folder, *MODES],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CellUnstartableError(
            f"{interpreter.executable} does not run: {done.stderr.strip() or done.stdout.strip()}",
            mend="name a working CPython 3.9 or later",
        )


def _library_path(interpreter: Interpreter) -> str:
    """Return where the interpreter's shared library is, unless it finds that itself.

    One that was copied finds that of the original, which no cell sees: so where it is counts.
    """
    argv = [interpreter.executable, "-I", "-S", "-c", "print(open('/proc/self/maps').read())"]
    done = subprocess.run(argv, capture_output=True, check=False, env={}, text=True)
    shared = {line.split()[-1] for line in done.stdout.splitlines() if "/libpython" in line}
    places = (interpreter.prefix, Path("/usr"), Path("/lib"))
    finds_it = all(any(Path(path).is_relative_to(place) for place in places) for path in shared)
    return "" if done.returncode == 0 and finds_it else str(interpreter.prefix / "lib")
