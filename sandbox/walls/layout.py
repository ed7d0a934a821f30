"""Where things are, as a cell sees them: what is alike behind all walls. Pure.

What differs between a cell that has a root of its own and one that shares the host's is in
namespaced.py and on_host.py.
"""

import math
from collections.abc import Callable, Mapping

from frozen.values import frozen
from sandbox.command import Folder, Interpreter
from sandbox.limits import MIB, Limits

CELL_UID = 1000
INSIDE = "/fumehood"
"""Where a cell with a root of its own sees the runner's code."""
WORK = "/work"
"""Where such a cell has its one file system to write to: scratch and output, between which files
can be renamed. Of two mounts, rename(2) answers EXDEV."""
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


@frozen
class Layout:
    """The paths of one cell, as the cell sees them."""

    inside: str
    input_dir: str
    output_dir: str
    scratch_dir: str
    code_path: tuple[str, ...]
    environment_path: tuple[str, ...]
    prefix: str
    folders: Mapping[str, str]
    """Where it sees each folder that is there to be read, and not on its path."""


@frozen
class Barriers:
    """What the kernel of this host can shut behind a cell from inside."""

    machine: str
    landlock_abi: int
    has_seccomp: bool


def layout(
    folders: tuple[Folder, ...],
    *,
    seen_at: Callable[[Folder], str],
    inside: str,
    input_dir: str,
    run_dir: str,
) -> Layout:
    """Return the layout of a cell that sees each folder where `seen_at` says."""
    on_path = [folder for folder in folders if folder.on_path]
    roots = [folder for folder in on_path if folder.import_root]
    return Layout(
        inside=inside,
        input_dir=input_dir,
        output_dir=f"{run_dir}/output",
        scratch_dir=f"{run_dir}/scratch",
        code_path=tuple(seen_at(folder) for folder in on_path if not folder.import_root),
        environment_path=tuple(f"{seen_at(folder)}/{folder.import_root}" for folder in roots),
        prefix=seen_at(roots[-1]) if roots else "",
        folders={
            folder.name: seen_at(folder)
            for folder in folders
            if not folder.on_path and "/" not in folder.name
        },
    )


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


def rlimits(limits: Limits) -> dict[str, int]:
    """Return the resource limits (setrlimit(2)) of every cell, which hold whatever a host lacks.

    RLIMIT_AS is never set: it breaks JITs and NumPy, which reserve far more than they use.
    """
    return {
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


def work_bytes(limits: Limits) -> int:
    """Return how large the one file system is that a run may write to.

    The kernel holds the sum; which of the two folders is too large is looked at while it runs.
    """
    return (limits.scratch_mb + limits.output_mb) * MIB


def library_folders() -> tuple[str, ...]:
    """Return the host folders that hold the interpreter's and the wheels' shared libraries."""
    return ("/usr/lib", "/usr/lib64", "/usr/lib32", "/lib", "/lib64")


def executable(interpreter: Interpreter) -> tuple[str, ...]:
    """Return where the interpreter and its libraries are, on the host as in every cell."""
    home = interpreter.executable if str(interpreter.prefix) == "/usr" else interpreter.prefix
    return (*library_folders(), str(home))
