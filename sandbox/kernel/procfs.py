"""What the kernel says of a process under /proc (proc(5)), read with as few calls as it takes."""

import os
from functools import cache

_NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")


def read(path: str) -> str:
    """Return a small kernel file, or nothing if it is gone; a buffered reader makes seven calls."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 65_536).decode("utf-8", "replace")
    except ProcessLookupError:
        return ""
    finally:
        os.close(fd)


def status(pid: int) -> str:
    """Return /proc/PID/status, or nothing if there is no such process."""
    return read(f"/proc/{pid}/status")


def children(pid: int) -> list[int]:
    """Return the processes that this one has started and that are still there (proc(5))."""
    return [int(child) for child in read(f"/proc/{pid}/task/{pid}/children").split()]


@cache
def shows_children() -> bool:
    """Say whether this kernel tells of children at all (CONFIG_PROC_CHILDREN)."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110 – one call


def tree(pid: int) -> list[int]:
    """Return a process and all below it, those above first."""
    found = [pid]
    for member in found:
        found += children(member)
    return found


def has_routes(pid: int) -> bool:
    """Say whether anything has ever been up in the process's net namespace (proc_pid_net(5)).

    Its table of routes is empty until then, and a loopback that is up has some to itself.
    """
    return bool(read(f"/proc/{pid}/net/fib_trie"))


def own_namespaces(pid: int) -> tuple[str, ...]:
    """Return the namespaces that the process does not share with us (namespaces(7)).

    Raises ProcessLookupError where it is about to end: it leaves them before it is dead.
    """
    own: list[str] = []
    for name in _NAMESPACES:
        try:
            if _namespace(str(pid), name) != _our_namespace(name):
                own.append(name)
        except FileNotFoundError:
            if _our_namespace(name):
                raise ProcessLookupError(
                    f"process {pid} has no {name} namespace any more"
                ) from None
        except PermissionError:
            continue
    return tuple(own)


def field(status: str, name: str) -> str:
    """Return one field of a status, or nothing if it is not there."""
    label = f"\n{name}:\t"
    start = status.find(label)
    if start < 0:
        return ""
    start += len(label)
    return status[start : status.find("\n", start)].strip()


def is_first(status: str) -> bool:
    """Say whether it is the first process of its pid namespace, with which all others end."""
    return field(status, "NSpid").rpartition("\t")[2] == "1"


def resident_bytes(status: str) -> int:
    """Return how much of a process is in memory, by its status; 0 of one that has none."""
    figure = field(status, "VmRSS").partition(" ")[0]
    return int(figure or 0) * 1024


def proportional_bytes(pid: int) -> int:
    """Return the PSS of a process and all below it: what they share is counted once (proc(5))."""
    rollups = (read(f"/proc/{member}/smaps_rollup") for member in tree(pid))
    figures = (rollup.partition("\nPss:")[2].split(maxsplit=1) for rollup in rollups)
    return sum(int(figure[0]) * 1024 for figure in figures if figure)


def peak_bytes(pid: int) -> int:
    """Return the most that a process ever had in memory (VmHWM); 0 of one that has none."""
    figure = field(status(pid), "VmHWM").partition(" ")[0]
    return int(figure or 0) * 1024


def cpu_s(pid: int) -> float:
    """Return what a process and those that it has waited for took of processors (proc(5))."""
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@cache
def _our_namespace(name: str) -> str:
    """Return ours, or nothing where this kernel has no such namespaces."""
    try:
        return _namespace("self", name)
    except FileNotFoundError:
        return ""


def _namespace(process: str, name: str) -> str:
    return os.readlink(f"/proc/{process}/ns/{name}")  # noqa: PTH115 – one call
