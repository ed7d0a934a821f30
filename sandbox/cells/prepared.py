"""The folders of the sandbox's own that every cell sees: made once, and read by all.

Each is named after what is in it, so that workers of one home can share it, and published whole.
"""

import asyncio
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sandbox.base import files, limit_files, programs
from sandbox.command import Interpreter
from sandbox.errors import CellUnstartableError
from sandbox.limits import Limits
from sandbox.network import etc
from sandbox.network_rules import NetworkRules

PACKAGE = "fumehood_inside"
"""What the runner's code is called in a cell."""
_INSIDE = Path(__file__).parents[1] / "inside"
_COMPILE = Path(__file__).with_name("compile_inside.py")


class Prepared:
    """Folders below the sandbox's home; what was made once is remembered."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._inside: dict[str, Path] = {}
        self._library_paths: dict[Path, str] = {}
        self._etc_of_all: Path | None = None
        self._programs: Path | None = None

    def etc(self, network: NetworkRules | None) -> Path:
        """Return a cell's /etc; there is one for each content. Raises CellUnstartableError."""
        if network is None:  # made once: to digest a megabyte takes 4 ms of a start
            self._etc_of_all = self._etc_of_all or self._etc_of(files.etc_files())
            return self._etc_of_all
        try:
            found = files.etc_files() | etc.files(network.ca_bundle)
        except OSError as fault:
            raise CellUnstartableError(
                f"the certificates for a run with network cannot be read: {fault}",
                mend="correct the setting run_network_ca_bundle",
            ) from fault
        return self._etc_of(found)

    def programs(self) -> Path:
        """Return a cell's /bin."""
        self._programs = self._programs or _programs(self._home)
        return self._programs

    def sys(self, limits: Limits) -> Path:
        """Return a cell's /sys, which shows how much a run may use."""
        wanted = limit_files.below_sys(limits, processors=len(os.sched_getaffinity(0)))
        return _kept(self._home / f"sys-{_digest(wanted)}", wanted)

    async def inside(self, interpreter: Interpreter) -> Path:
        """Return the runner's code, byte-compiled for this interpreter."""
        known = self._inside.get(interpreter.soabi)
        if known is None:
            known = await asyncio.to_thread(prepare_inside, self._home, interpreter)
            self._inside[interpreter.soabi] = known
        return known

    def known_inside(self, interpreter: Interpreter) -> Path:
        """Return what `inside` has returned for this interpreter before."""
        return self._inside[interpreter.soabi]

    async def library_path(self, interpreter: Interpreter) -> str:
        """Return where the interpreter's shared library is, unless it finds that itself."""
        if interpreter.executable not in self._library_paths:
            path = await asyncio.to_thread(_library_path, interpreter)
            self._library_paths[interpreter.executable] = path
        return self._library_paths[interpreter.executable]

    def _etc_of(self, wanted: Mapping[str, bytes]) -> Path:
        return _kept(self._home / f"etc-{_digest(wanted)}", wanted)


def _digest(wanted: Mapping[str, bytes]) -> str:
    return hashlib.sha256(repr(sorted(wanted.items())).encode()).hexdigest()[:16]


def _kept(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Return the folder with these files, by their places in it; write it if it is not there."""
    if not folder.exists():
        fresh = _fresh(folder)
        for name, content in files.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(content)
        _publish(fresh, folder)
    return folder


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


def _programs(home: Path) -> Path:
    """Return the folder that is a cell's /bin; write it if it is not there."""
    folder = home / f"bin-{programs.digest()[:16]}"
    if not folder.exists():
        fresh = _fresh(folder)
        programs.copy_to(fresh)
        _publish(fresh, folder, mode=0o755)
    return folder


def prepare_inside(home: Path, interpreter: Interpreter) -> Path:
    """Compile the runner's code, if it is not there yet. Raises CellUnstartableError."""
    digest = hashlib.sha256()
    for source in (*sorted(_INSIDE.rglob("*.py")), _COMPILE):
        digest.update(source.read_bytes())
    name = f"inside-{digest.hexdigest()[:16]}-{interpreter.soabi}-{interpreter.version}"
    folder = home / name
    if folder.exists():
        return folder
    fresh = _fresh(folder)
    shutil.copytree(
        _INSIDE, fresh / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    done = subprocess.run(
        [interpreter.executable, "-I", "-S", _COMPILE, fresh / PACKAGE],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CellUnstartableError(
            f"{interpreter.executable} does not run: {done.stderr.strip() or done.stdout.strip()}",
            mend="name a working CPython 3.9 or later",
        )
    _publish(fresh, folder)
    return folder


def _fresh(folder: Path) -> Path:
    """Make a folder to prepare `folder` in: ours alone, as others may be about the same.

    It is named after this process, so that it is swept when we are gone (leftovers.py).
    """
    prefix = f"{folder.name}.by-{os.getpid()}-"
    return Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))


def _publish(fresh: Path, folder: Path, *, mode: int = 0o644) -> None:
    """Let everybody read it, then move it to its place; somebody else may have been first."""
    for path in [fresh, *fresh.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else mode)
    try:
        fresh.rename(folder)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
