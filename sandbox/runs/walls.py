"""What a wall that a run ran into is called, and what its author can do. Pure.

Which one it was is the run's own word (inside/refused.py): it explains, and decides nothing.
"""

from dataclasses import replace

from sandbox.command import Failure

NETWORK_MEND = (
    'ask for it in the manifest (`"network": {"run": true, "hosts": […]}`) and have the '
    "admin name the host, or bring what is there along as an input"
)
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
        "a run has no port to listen at: at this level it has no network, not even with itself",
        "use threads, processes, pipes or a pair of sockets in place of a server",
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


_LOOPBACK = ("127.", "localhost:", "[::1]:", "::1:")


def unreached(wanted: str, *, has_loopback: bool) -> tuple[str, str]:
    """Return why a run did not reach HOST:PORT, and what its author can do.

    >>> unreached("example.org:443", has_loopback=True)[0]
    'the run tried to reach example.org:443; runs have no network'
    """
    tried = f"the run tried to reach {wanted}"
    if has_loopback and wanted.startswith(_LOOPBACK):
        why = "nothing of this run listens there, and the host's ports are out of its reach"
        return f"{tried}; {why}", "start the server in the run, and wait until it listens"
    return f"{tried}; runs have no network", NETWORK_MEND


def those_around(*, has_network: bool, has_loopback: bool) -> frozenset[str]:
    """Return the walls around a run that may have a network, or one with itself alone."""
    gone = {"network"} if has_network else set[str]()
    return frozenset(_WALLS) - gone - ({"listen"} if has_network or has_loopback else set())


def named(failure: Failure, wall: str, *, stood: frozenset[str]) -> Failure:
    """Return the failure with the wall that it came from, if that is one that stood."""
    if wall not in stood:
        return failure
    what, mend = _WALLS[wall]
    return replace(failure, what=f"{failure.what} – {what}", mend=mend)
