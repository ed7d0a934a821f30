"""What doctor tries in a run: each attacks one wall."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Probe:
    """A function of probes/probe.py that attacks one wall, and what is tried by it."""

    name: str
    layer: str
    tried: str
    mend: str
    is_granted: bool = False
    """Whether its run is granted a network: any host that is public, at the port aimed at."""


def core_pattern() -> str:
    """Return where this host's crashes go (core(5))."""
    try:
        return Path("/proc/sys/kernel/core_pattern").read_text("utf-8", "replace").strip()
    except OSError:
        return "it cannot be read"


ATTACKS = (
    Probe(
        "read_host_file",
        "mount namespace / Landlock",
        "read a host file that all may read",
        "install bubblewrap and allow user namespaces, or a kernel with Landlock",
    ),
    Probe(
        "write_outside",
        "read-only root",
        "write outside scratch and output",
        "install bubblewrap and allow user namespaces, or a kernel with Landlock",
    ),
    Probe(
        "reach_loopback",
        "network",
        "connect to a port of this host",
        "allow network namespaces, or seccomp filters",
    ),
    Probe(
        "reach_abstract_socket",
        "network",
        "connect to an abstract socket of this host",
        "allow network namespaces, or a kernel with Landlock ABI 6",
    ),
    Probe(
        "reach_host_by_grant",
        "granted network",
        "connect to this host from a run that may reach any public one",
        "see the detail: the relay of a run with network let it through, or did not start",
        is_granted=True,
    ),
    Probe(
        "send_to_host_socket",
        "network",
        "send a datagram of a pair to a socket of this host",
        "allow network namespaces, or seccomp filters",
    ),
    Probe(
        "hold_in_sockets",
        "network",
        "hold memory in sockets, where no limit counts it",
        "allow a cell's first process its capabilities (AppArmor's profile of bwrap takes them), "
        "and use a kernel with seccomp filters",
    ),
    Probe(
        "lease_own_code",
        "seccomp",
        "take a lease on a file that others open",
        "use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER)",
    ),
    Probe(
        "watch_what_others_open",
        "seccomp",
        "watch files that others open (inotify)",
        "use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER)",
    ),
    Probe(
        "see_host_process",
        "pid namespace / Landlock",
        "signal the worker",
        "allow pid namespaces, or a kernel with Landlock ABI 6, or run the worker as root",
    ),
    Probe(
        "read_host_process",
        "procfs",
        "read the worker's environment",
        "allow pid namespaces, or a kernel with Landlock",
    ),
    Probe(
        "mount",
        "seccomp",
        "mount a file system in a user namespace of its own",
        "use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER)",
    ),
    Probe(
        "reach_kernel",
        "seccomp",
        "call bpf, keyctl, perf_event_open, io_uring_setup, seccomp",
        "use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER)",
    ),
    Probe(
        "leave_core",
        "core dumps",
        f"leave the memory of a crash to the host's handler ({core_pattern()})",
        "raise the hard limit of core dumps of the worker above 0 (LimitCORE=1 in its unit, "
        "`--ulimit core=1`), or set kernel.core_pattern to a file name",
    ),
    Probe(
        "keep_capabilities",
        "capabilities",
        "find a capability that can be used",
        "do not run the worker with ambient capabilities",
    ),
    Probe(
        "keep_daemon",
        "process tree",
        "leave a daemon behind that ignores SIGTERM",
        "allow pid namespaces",
    ),
    Probe(
        "pass_memory_limit",
        "memory limit",
        "take three times the memory",
        "delegate a cgroup (systemd: Delegate=yes)",
    ),
    Probe(
        "pass_process_limit",
        "process limit",
        "start four times the processes",
        "delegate a cgroup (systemd: Delegate=yes)",
    ),
    Probe(
        "pass_scratch_limit",
        "scratch limit",
        "write three times what scratch holds",
        "allow mount namespaces",
    ),
)
