"""The outer wall: the argument list that makes bubblewrap build a cell's own root. Pure.

bwrap(1). Nothing of the host is in sight but the interpreter, shared libraries and what the
Command names; the root is read-only; /tmp and /dev/shm live in the sized scratch.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from frozen.values import frozen
from sandbox.base import limit_files
from sandbox.command import Command, Interpreter
from sandbox.kernel import devices
from sandbox.limits import MIB
from sandbox.network import etc
from sandbox.walls import layout as places
from sandbox.walls.layout import Layout

_POWERS_OF_WARM = ("CAP_SYS_ADMIN", "CAP_NET_ADMIN")
_POWERS_OF_COLD = (*_POWERS_OF_WARM, "CAP_SETPCAP")
"""To leave the net namespace for one without IP, and to give up all of them for good
(PR_CAPBSET_DROP, capabilities(7))."""

type Reach = Callable[[Path], str]
"""Turns a host path into the path by which the cell's host user can reach it."""


@frozen
class Furniture:
    """Host folders of the sandbox's own that every cell sees."""

    inside: Path
    """The runner's code, byte-compiled for the interpreter."""
    etc: Path
    """The cell's /etc."""
    programs: Path
    """The cell's /bin: a shell, and what launchers call."""
    sys: Path
    """The cell's /sys: how much a run may use."""
    input_dir: Path | None
    """The run's inputs; a warm cell sees none, and its forks get theirs from the worker."""
    library_path: str
    """Where the interpreter's shared library is, if it does not know it itself."""
    devices: str
    """Where the cell's host user finds the cell's /dev ready; empty where it has to be made."""


def arguments(
    command: Command, furniture: Furniture, *, reach: Reach, layout: Layout, is_warm: bool
) -> list[str]:
    """Return bwrap's arguments for `command`, without the program to run."""
    return [
        *_namespaces(command, is_warm=is_warm),
        *_variables(command, layout, furniture.library_path),
        *_system(command.interpreter, reach),
        *_temporary(command.interpreter),
        *_devices(furniture.devices),
        *_read_only(furniture.inside, places.INSIDE, reach),
        *_read_only(furniture.etc, "/etc", reach),
        *_read_only(furniture.sys, "/sys", reach),
        *_memory(furniture.sys, reach, is_warm=is_warm),
        *_programs(furniture.programs, command.interpreter, reach),
        *_inputs(furniture.input_dir, reach),
        *_folders(command, reach),
        *_writable(command, is_warm=is_warm),
        *("--remount-ro", "/", "--chdir", "/"),
    ]


def _namespaces(command: Command, *, is_warm: bool) -> list[str]:
    uid = str(places.CELL_UID)
    flags = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts"]
    flags += ["--unshare-net", "--unshare-cgroup-try", "--die-with-parent", "--new-session"]
    flags += [] if is_warm else ["--disable-userns"]
    flags += ["--uid", uid, "--gid", uid, "--hostname", "cell", "--cap-drop", "ALL"]
    # The warden mounts /proc, and closes what an import could write to; both runners leave the net
    # namespace that is made here, in which the loopback is up. No package code has any of it.
    powers = _POWERS_OF_WARM if is_warm else _POWERS_OF_COLD if command.network is None else ()
    return [*flags, *(word for power in powers for word in ("--cap-add", power))]


def _variables(command: Command, layout: Layout, library_path: str) -> list[str]:
    start = places.variables(layout, library_path=library_path, limits=command.limits)
    start |= etc.variables() if command.network else {}
    pairs = [("--setenv", name, value) for name, value in start.items()]
    return ["--clearenv", *(word for pair in pairs for word in pair)]


def _system(interpreter: Interpreter, reach: Reach) -> list[str]:
    words = [*_libraries(places.library_folders())]
    words += _data_of_libraries()
    if str(interpreter.prefix) == "/usr":
        executable = str(interpreter.executable)
        return [*words, "--ro-bind", executable, executable]
    return [*words, *_read_only(interpreter.prefix, str(interpreter.prefix), reach)]


def _memory(sys: Path, reach: Reach, *, is_warm: bool) -> Sequence[str]:
    """Show how much memory a run has; the warden of a warm cell does, which mounts /proc again."""
    return () if is_warm else _read_only(sys / limit_files.MEMINFO, "/proc/meminfo", reach)


def _programs(folder: Path, interpreter: Interpreter, reach: Reach) -> list[str]:
    """Show them where they are looked for: /bin, /sbin (ldconfig), /usr/bin (#!/usr/bin/env)."""
    words = [*_read_only(folder, "/bin", reach), "--symlink", "bin", "/sbin"]
    if interpreter.executable.parent == Path("/usr/bin"):  # which is a folder with it then
        return [*words, "--symlink", "../../bin/env", "/usr/bin/env"]
    return [*words, "--symlink", "../bin", "/usr/bin"]


def _temporary(interpreter: Interpreter) -> list[str]:
    """Let /tmp be scratch, unless the interpreter lies below it: then that is all there is.

    TMPDIR names scratch in any case. Both cannot be had, and the level fell for it.
    """
    if Path("/tmp") in interpreter.prefix.parents:
        return []
    return ["--symlink", f"{places.WORK}/scratch/tmp", "/tmp"]


@cache
def _data_of_libraries() -> tuple[str, ...]:
    """Show what the host's libraries look for: time zones, fonts, and the magic of libmagic."""
    words = ["--ro-bind-try", "/usr/share/zoneinfo", "/usr/share/zoneinfo"]
    for folder in ("/usr/share/fonts", "/usr/share/fontconfig"):
        words += [] if not Path(folder).is_dir() else ["--ro-bind", folder, folder]
    magic = Path("/usr/share/misc/magic.mgc")
    if magic.is_file():
        words += ["--symlink", str(magic.resolve()), str(magic)]
    return tuple(words)


@cache
def _libraries(folders: tuple[str, ...]) -> tuple[str, ...]:
    """Show the host's library folders as they are: some are links to others (usrmerge)."""
    words: list[str] = []
    for folder in folders:
        path = Path(folder)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), folder]
        elif path.is_dir():
            words += ["--ro-bind", folder, folder]
    return tuple(words)


def _devices(ready: str) -> list[str]:
    """Show /dev in one piece where it is ready: each mount costs a start, and every fork too."""
    words = ["--proc", "/proc"]
    if ready:  # and read-only, where bubblewrap's own --remount-ro would let no device work
        return [*words, "--dev-bind", ready, "/dev"]
    words += ["--tmpfs", "/dev"]
    for name in devices.NAMES:
        words += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for name, target in devices.LINKS.items():
        words += ["--symlink", target, f"/dev/{name}"]
    return [*words, "--remount-ro", "/dev"]


def _folders(command: Command, reach: Reach) -> list[str]:
    return [
        word
        for folder in command.folders
        for word in _read_only(folder.source, f"/{folder.name}", reach)
    ]


def _inputs(folder: Path | None, reach: Reach) -> Sequence[str]:
    return ("--dir", "/input") if folder is None else _read_only(folder, "/input", reach)


def _writable(command: Command, *, is_warm: bool) -> list[str]:
    """Mount what holds scratch and output; the import of a warm cell gets scratch alone."""
    limits = command.limits
    size_bytes = limits.scratch_mb * MIB if is_warm else places.work_bytes(limits)
    words = ["--perms", "0755", "--size", str(size_bytes), "--tmpfs", places.WORK]
    for name in ("scratch", "output"):
        words += ["--perms", "0755", "--dir", f"{places.WORK}/{name}"]
        words += ["--symlink", f"{places.WORK}/{name}", f"/{name}"]
    return words


def _read_only(source: Path, target: str, reach: Reach) -> Sequence[str]:
    return ("--ro-bind", reach(source), target)
