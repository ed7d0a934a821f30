"""Where things are, as a cell sees them, and the messages that say so. Pure.

With namespaces a cell has a root of its own and everything has a fixed place; without, it
sees host paths and Landlock decides which.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sandbox.base import programs
from sandbox.command import Command, Folder, Interpreter
from sandbox.limits import MIB, Limits, most_inodes
from sandbox.protocol import Inward
from sandbox.walls import landlock, seccomp

CELL_UID = 1000
MOST_COPIED_BYTES = 32 * MIB
"""Inputs that are larger together are mounted, which only a cold cell can have done: to copy so
much takes as long as a cold start."""
INSIDE = "/fumehood"
WORK = "/work"
"""Where a cell with namespaces has its one file system to write to: scratch and output, between
which files can be renamed. Of two mounts, rename(2) answers EXDEV."""
_AROUND_BYTES = 262_144
_OF_THE_HOST = (
    *("/dev/urandom", "/dev/random", "/etc/ld.so.cache", "/usr/share/zoneinfo"),
    *("/etc/mime.types", "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/pki/tls/certs"),
    *("/etc/fonts", "/usr/share/fonts", "/usr/share/fontconfig", "/usr/share/misc/magic.mgc"),
)
"""What a cell without a root of its own may read besides: what one with a root finds there too."""
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "ARROW_NUM_THREADS",
    "TOKENIZERS_PARALLELISM",
)

_WITHOUT_THREADS = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "_RJEM_MALLOC_CONF": "background_thread:false",
    "ORT_DISABLE_TELEMETRY": "1",
}
"""Libraries' own switches, by which they start no thread at import: with one a version is cold for
ever (pyarrow: 3,537 against 306 ms of a run, measured). The allocators of Arrow and of what is
written in Rust (polars) free memory a little later then; ONNX Runtime reports to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The paths of one cell, as the cell sees them."""

    has_namespaces: bool
    inside: str
    input_dir: str
    output_dir: str
    scratch_dir: str
    code_path: tuple[str, ...]
    environment_path: tuple[str, ...]
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Barriers:
    """What the kernel of this host can shut behind a cell from inside."""

    machine: str
    landlock_abi: int
    has_seccomp: bool


@lru_cache(maxsize=64)
def namespaced(folders: tuple[Folder, ...]) -> Layout:
    """Return the layout of a cell that has a root of its own."""
    return _layout(folders, has_namespaces=True, inside=INSIDE, run_dir=WORK)


def on_the_host(folders: Sequence[Folder], *, inside: Path, run_dir: str) -> Layout:
    """Return the layout of a cell that shares the host's root, with its run below `run_dir`."""
    return _layout(folders, has_namespaces=False, inside=str(inside), run_dir=run_dir)


def seen_at(folder: Folder, *, has_namespaces: bool) -> str:
    """Return where the cell sees `folder`."""
    return f"/{folder.name}" if has_namespaces else str(folder.source)


def variables(layout: Layout, *, library_path: str, limits: Limits) -> dict[str, str]:
    """Return the environment that a cell starts with: nothing of the host's is in it.

    The library path lets an interpreter with a shared libpython run where it was moved to, if it
    does not without.
    """
    threads = str(max(1, math.ceil(limits.cpus)))
    return ({"LD_LIBRARY_PATH": library_path} if library_path else {}) | {
        "HOME": layout.scratch_dir,
        "TMPDIR": f"{layout.scratch_dir}/tmp",
        "PATH": f"{layout.prefix}/bin:/usr/bin:/bin" if layout.prefix else "/usr/bin:/bin",
        "USER": "cell",
        "LOGNAME": "cell",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHON_CPU_COUNT": threads,  # CPython 3.13 and later
        **dict.fromkeys(_THREAD_VARIABLES, threads),
        **_WITHOUT_THREADS,
        "TOKENIZERS_PARALLELISM": "false" if threads == "1" else "true",
    }


def setup(command: Command, layout: Layout, barriers: Barriers) -> dict[str, Inward]:
    """Return the message that tells a cell which walls to shut and where things are."""
    profile = "job" if layout.has_namespaces else "job-without-namespaces"
    warm_profile = "warm" if layout.has_namespaces else "warm-without-namespaces"
    return {
        "uid": CELL_UID,
        "gid": CELL_UID,
        "bundle_path": list(layout.code_path),
        "environment_path": list(layout.environment_path),
        "prefix": layout.prefix,
        "argv0": command.target,
        "variables": dict(command.variables),
        "scratch_dir": layout.scratch_dir,
        "output_dir": layout.output_dir,
        "input_dir": layout.input_dir,
        "work_dir": WORK,
        "mounts": _mounts(command.limits) if layout.has_namespaces else None,
        "landlock": _landlock(command, layout, barriers),
        "warm_landlock": _warm_landlock(command, layout, barriers),
        "seccomp": _program(profile, barriers),
        "warm_seccomp": _program(warm_profile, barriers),
        "rlimits": rlimits(command.limits, has_namespaces=layout.has_namespaces),
        "preload": list(command.warmth.preload) if command.warmth else [],
        "processors": math.ceil(command.limits.cpus),
    }


def request(
    command: Command, layout: Layout, *, processors: Sequence[int] = ()
) -> dict[str, Inward]:
    """Return the message that gives a ready cell its run.

    `processors` are those that it has to bind itself to, if it is not bound already.
    """
    return {
        "processors": list(processors),
        "target": command.target,
        "handle": command.handle,
        "facts": dict(command.facts),
        "arguments": dict(command.arguments),
        "answers": dict(command.answers),
        "secrets": dict(command.secrets),
        "network": command.network is not None,
        "inputs": [f"{layout.input_dir}/{item.name}" for item in command.inputs],
        "output_dir": layout.output_dir,
        "scratch_dir": layout.scratch_dir,
        "folders": _named(command.folders, layout),
        "result_bytes": command.limits.result_kb * 1024,
        "report_bytes": most_frame_bytes(command.limits),
    }


def _named(folders: Sequence[Folder], layout: Layout) -> dict[str, Inward]:
    """Return where the cell sees each folder that is there to be read, and not on its path."""
    return {
        folder.name: seen_at(folder, has_namespaces=layout.has_namespaces)
        for folder in folders
        if not folder.on_path and "/" not in folder.name
    }


def most_frame_bytes(limits: Limits) -> int:
    """Return how large one message from a run may be: as its result, and what is around that."""
    return limits.result_kb * 1024 + _AROUND_BYTES


def rlimits(limits: Limits, *, has_namespaces: bool) -> dict[str, int]:
    """Return the resource limits (setrlimit(2)) that hold whatever else the host lacks.

    RLIMIT_NPROC counts per user and user namespace, so it is only ours to set where the cell
    has a user namespace (or a host user) of its own. RLIMIT_AS is never set: it breaks JITs
    and NumPy, which reserve far more than they use.
    """
    chosen = {
        # A core_pattern that is a pipe (systemd-coredump, apport) gets the memory of whoever has a
        # limit of 0, as of any other but 1 (fs/coredump.c: "a special value"; measured: 8.7 MB
        # of a Python with 0, nothing with 1). A file of one byte is never begun either.
        "RLIMIT_CORE": 1,
        "RLIMIT_CPU": math.ceil(limits.cpu_s) + 1,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_FSIZE": max(limits.output_mb, limits.scratch_mb) * MIB,
        "RLIMIT_MEMLOCK": 64 * 1024,
        # Counted for all processes of a user, against the limit of whoever asks for one more:
        # the less a cell may have, the more is left to cells of the same user (getrlimit(2)).
        "RLIMIT_SIGPENDING": 1024,
        "RLIMIT_MSGQUEUE": 64 * 1024,
    }
    if has_namespaces:
        chosen["RLIMIT_NPROC"] = limits.processes
    return chosen


def work_bytes(limits: Limits) -> int:
    """Return how large the one file system is that a run may write to.

    The kernel holds the sum; which of the two folders is too large is looked at while it runs.
    """
    return (limits.scratch_mb + limits.output_mb) * MIB


def library_folders(interpreter: Interpreter) -> tuple[str, ...]:
    """Return the host folders that hold the interpreter's and the wheels' shared libraries."""
    del interpreter
    return ("/usr/lib", "/usr/lib64", "/usr/lib32", "/lib", "/lib64")


def _layout(
    folders: Sequence[Folder], *, has_namespaces: bool, inside: str, run_dir: str
) -> Layout:
    on_path = [folder for folder in folders if folder.on_path]
    roots = [folder for folder in on_path if folder.import_root]
    return Layout(
        has_namespaces=has_namespaces,
        inside=inside,
        input_dir="/input" if has_namespaces else f"{run_dir}/input",
        output_dir=f"{run_dir}/output",
        scratch_dir=f"{run_dir}/scratch",
        code_path=tuple(
            seen_at(folder, has_namespaces=has_namespaces)
            for folder in on_path
            if not folder.import_root
        ),
        environment_path=tuple(
            f"{seen_at(folder, has_namespaces=has_namespaces)}/{folder.import_root}"
            for folder in roots
        ),
        prefix=seen_at(roots[-1], has_namespaces=has_namespaces) if roots else "",
    )


def mounted(limits: Limits) -> dict[str, int]:
    """Return how large what a fork may write to is, by place."""
    sizes = _mounts(limits)
    return {WORK: sizes["work_bytes"], "/input": sizes["input_bytes"]}


def _mounts(limits: Limits) -> dict[str, int]:
    return {
        "work_bytes": work_bytes(limits),
        "input_bytes": MOST_COPIED_BYTES + MIB,
        "inodes": most_inodes(limits.scratch_mb) + most_inodes(limits.output_mb),
    }


def _landlock(command: Command, layout: Layout, barriers: Barriers) -> Inward:
    if barriers.landlock_abi == 0:
        return None
    confinement = landlock.Confinement(
        readable=("/",) if layout.has_namespaces else _readable_on_the_host(layout),
        executable=_executable(command, layout),
        run_readable=() if layout.has_namespaces else (layout.input_dir,),
        writable=(layout.scratch_dir, layout.output_dir),
        network=command.network is not None,
    )
    return landlock.ruleset(confinement, abi=barriers.landlock_abi)


def _warm_landlock(command: Command, layout: Layout, barriers: Barriers) -> Inward:
    """Return what confines a warm cell itself where it has no root of its own.

    Its forks shut a narrower ruleset inside this one, so all that any of them may touch has to
    be in it: the warm cell's folder. With namespaces the forks mount, which Landlock would
    refuse, and the outer wall stands around the import.
    """
    if barriers.landlock_abi == 0 or layout.has_namespaces:
        return None
    base = layout.scratch_dir.partition("/{run}")[0]
    confinement = landlock.Confinement(
        readable=(*_readable_on_the_host(layout), base),
        executable=_executable(command, layout),
        writable=(base,),
        network=command.network is not None,
    )
    return landlock.ruleset(confinement, abi=barriers.landlock_abi)


def _readable_on_the_host(layout: Layout) -> tuple[str, ...]:
    return (*_OF_THE_HOST, layout.inside)


def _executable(command: Command, layout: Layout) -> tuple[str, ...]:
    """Return where programs and libraries are: not scratch, not outputs, not inputs."""
    interpreter = command.interpreter
    home = interpreter.executable if str(interpreter.prefix) == "/usr" else interpreter.prefix
    return (
        *library_folders(interpreter),
        *(("/bin",) if layout.has_namespaces else map(str, programs.files())),
        str(home),
        *_roots(command.folders, layout),
    )


def _roots(folders: Sequence[Folder], layout: Layout) -> Sequence[str]:
    """Return where folders are; one place for all that a cell sees below the same one."""
    if not layout.has_namespaces:
        return [str(folder.source) for folder in folders]
    return list(dict.fromkeys(f"/{folder.name.partition('/')[0]}" for folder in folders))


def _program(profile: seccomp.Profile, barriers: Barriers) -> bytes | None:
    if not barriers.has_seccomp:
        return None
    return seccomp.program(profile, machine=barriers.machine)
