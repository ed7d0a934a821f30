"""What doctor tries while a warm cell imports: package code has the whole process to itself."""

from frozen.values import frozen


@frozen
class ImportProbe:
    """A module of probes/ that is imported, and what is tried by it."""

    module: str
    layer: str
    tried: str
    mend: str
    makes_it_cold: bool = False
    """Whether the warm cell has to be given up, and named, for the wall to have held."""


_WARDEN = "runs start cold where ptrace(2) is refused; see kernel.yama.ptrace_scope and seccomp"

IMPORT_PROBES = (
    ImportProbe(
        module="import_daemon",
        layer="import",
        tried="leave a process behind that sees all later runs",
        mend="allow pid namespaces, or report a bug",
        makes_it_cold=True,
    ),
    ImportProbe(
        module="import_patch",
        layer="import",
        tried="rewrite the runner, so that runs keep capabilities and mounts",
        mend=_WARDEN,
    ),
    ImportProbe(
        module="import_sight",
        layer="import",
        tried="count the processes of the runs before",
        mend="allow pid namespaces, or report a bug",
    ),
    ImportProbe(
        module="import_namespaces",
        layer="import",
        tried="use up the namespaces of the worker's user",
        mend="use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER)",
    ),
    ImportProbe(
        module="import_processes",
        layer="import",
        tried="write to other processes of its cell",
        mend="allow user namespaces, or a kernel with Landlock",
    ),
    ImportProbe(
        module="import_memory",
        layer="import",
        tried="take four times the memory of a run",
        mend="delegate a cgroup (systemd: Delegate=yes)",
    ),
    ImportProbe(
        module="import_sockets",
        layer="import",
        tried="hold memory in sockets, where no limit counts it",
        mend=_WARDEN,
    ),
)
