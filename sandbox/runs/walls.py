"""What a wall that a run ran into is called, and what its author can do. Pure.

Which one it was is the run's own word (inside/failure/refused.py): it explains, and decides
nothing.
"""

from dataclasses import replace

from sandbox.command import Failure

NETWORK_MEND = (
    'ask for it in the manifest (`"network": {"run": true, "hosts": […]}`) and have the '
    "admin name the host, or bring what is there along as an input"
)
_OF_A_NETWORK = ("network", "listen")
_WALLS = {
    "read-only": (
        "everything but output_dir, scratch_dir and /tmp is read-only",
        "write to job.output_dir, job.scratch_dir or below HOME",
    ),
    "execute": (
        "nothing can be executed from scratch, outputs or inputs",
        "let a wheel or the bundle bring the program",
    ),
    "sight": (
        "a run sees its own files only",
        "bring what is there along, as an input or in the bundle",
    ),
    "listen": (
        "a run has no port to listen at: it has no network, not even one with itself, as no limit "
        "counts what waits in its connections",
        "let the server listen at a UNIX socket below HOME, where the host gives runs namespaces, "
        "or use threads, processes, pipes or a pair of sockets in place of it",
    ),
    "network": ("runs have no network", NETWORK_MEND),
    "shared": (
        "processes share locks and memory in /dev/shm, which is not there at this level",
        "use threads, or pipes; on a host that lets the worker make namespaces it is there",
    ),
    "call": (
        "the system call is one that runs may not make",
        "do without it; docs/cell.md says what a run finds in its cell",
    ),
}


def named(failure: Failure, wall: str, *, has_network: bool) -> Failure:
    """Return the failure with the wall that it came from, if that is one that stands."""
    if wall not in _WALLS or (has_network and wall in _OF_A_NETWORK):
        return failure
    what, mend = _WALLS[wall]
    return replace(failure, what=f"{failure.what} – {what}", mend=mend)
