"""Which walls are wanted, which this host can build, and which were really in force.

What was in force around a run is read from the kernel's own account of its process
(/proc/PID/status and /proc/PID/ns, proc(5)), not from what was asked for.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path

from frozen.values import frozen
from sandbox.cells.cell import Cell
from sandbox.cells.host_libraries import Mapped
from sandbox.cells.launcher import Launcher
from sandbox.cells.namespaced import NamespacedCells
from sandbox.cells.on_host import HostCells
from sandbox.cgroups.leaves import Leaves
from sandbox.command import ColdReason, Command, Interpreter, Isolation, Layer, Level
from sandbox.errors import SandboxError
from sandbox.kernel import procfs
from sandbox.limits import Limits
from sandbox.network_rules import NetworkRules
from sandbox.walls import landlock
from sandbox.walls.host import Host, is_root_of_the_host

_FIELDS = (
    *("Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapInh", "CapAmb"),
    *("NoNewPrivs", "Seccomp", "Seccomp_filters"),
)


@frozen
class Probed:
    """A launcher for the best that works here, and what is missing for more."""

    launcher: Launcher
    missing: tuple[str, ...]
    is_startable: bool = True
    """Whether a cell came up at all."""


async def probe(
    found: Host,
    home: Path,
    *,
    interpreter: Interpreter,
    try_namespaces: bool,
    leaves: Leaves,
    prepared: Path,
    seen: tuple[Path, ...],
) -> Probed:
    """Find out by starting a cell which kind of cells this host lets us have.

    This is the one place where that is decided. `prepared` keeps what is made
    once for all cells, `seen` is what most of them see.
    """
    missing: list[str] = []
    making = partial(Launcher, host=found, home=home, leaves=leaves, prepared=prepared)
    if try_namespaces and found.bubblewrap is None:
        missing.append("bubblewrap is not installed (apt-get install bubblewrap)")
    elif try_namespaces and found.bubblewrap is not None:
        kind = NamespacedCells(
            bubblewrap=found.bubblewrap,
            host=found,
            home=home,
            prepared=prepared,
            seen=(interpreter.prefix, *seen),
        )
        launcher = making(kind=kind)
        try:
            await _try(launcher, interpreter)
            return Probed(launcher=launcher, missing=())
        except SandboxError as fault:
            launcher.close()
            missing.append(f"namespaces are refused: {fault.what}")
    return await _probe_on_host(found, interpreter, making, missing)


async def _probe_on_host(
    found: Host, interpreter: Interpreter, making: Callable[..., Launcher], missing: list[str]
) -> Probed:
    if found.barriers.landlock_abi == 0:
        missing.append("the kernel has no Landlock (Linux 5.13, lsm=landlock)")
    if not found.barriers.has_seccomp:
        missing.append("the kernel has no seccomp filters")
    launcher = making(kind=HostCells())
    try:
        found.let_cells_cross()
        await _try(launcher, interpreter)
    except SandboxError as fault:
        missing.append(f"no cell starts without namespaces either: {fault.what}")
        return Probed(launcher=launcher, missing=tuple(missing), is_startable=False)
    return Probed(launcher=launcher, missing=tuple(missing))


async def _try(launcher: Launcher, interpreter: Interpreter) -> None:
    """Start a cell that is never given a run. Raises SandboxError."""
    cell = await launcher.cold(_nothing(interpreter), reason=ColdReason("probe"))
    await cell.close()


def in_force(
    cell: Cell,
    *,
    level: Level,
    network: NetworkRules | None,
    landlock_abi: int,
    cgroup: str,
    mapped: Mapped,
) -> Isolation:
    """Return the walls around a cell that is about to be given its run.

    `cgroup` is the version of the hierarchy that its leaf is in, or nothing.
    """
    layers = _layers(
        tuple(procfs.field(cell.hello.status, name) for name in _FIELDS),
        cell.hello.namespaces,
        has_routes=cell.hello.has_routes,
        refuses_sockets=cell.facts.refuses_sockets,
        network=network,
        landlock_abi=landlock_abi,
        cgroup=cgroup if cell.leaf else "",
    )
    return Isolation(
        level=level,
        layers=layers,
        start=cell.start,
        start_reason=cell.reason.text if cell.reason else "",
        start_word=cell.reason.word if cell.reason else "",
        host_libraries=mapped.libraries,
        host_libraries_dropped=mapped.dropped,
    )


@lru_cache(maxsize=64)
def _layers(
    fields: tuple[str, ...],
    own: tuple[str, ...],
    *,
    has_routes: bool,
    refuses_sockets: bool,
    network: NetworkRules | None,
    landlock_abi: int,
    cgroup: str,
) -> tuple[Layer, ...]:
    """Turn what the kernel says into layers; most runs of a worker have the same."""
    status = dict(zip(_FIELDS, fields, strict=True))
    return (
        Layer(name="namespaces", in_force=bool(own), detail=" ".join(own)),
        _no_network(
            status, own, has_routes=has_routes, refuses_sockets=refuses_sockets, network=network
        ),
        Layer(name="read-only root", in_force="mnt" in own, detail="its own" if own else ""),
        Layer(
            name="seccomp",
            in_force=status["Seccomp"] == "2",
            detail=_filters(status["Seccomp_filters"]),
        ),
        _landlock(landlock_abi, confines_tcp=network is None),
        Layer(name="no capabilities", in_force=_has_no_capabilities(status)),
        Layer(name="no new privileges", in_force=status["NoNewPrivs"] == "1"),
        Layer(name="host user", in_force=_is_unprivileged(status), detail=_host_uid(status)),
        Layer(name="cgroup", in_force=bool(cgroup), detail=cgroup or "watchdog"),
        Layer(name="rlimits", in_force=True),
    )


def _landlock(abi: int, *, confines_tcp: bool) -> Layer:
    if not abi:
        return Layer(name="landlock", in_force=False)
    described = landlock.describe(abi, confines_tcp=confines_tcp)
    return Layer(name="landlock", in_force=True, detail=f"as asked for: {described}")


def _filters(count: str) -> str:
    return "1 filter" if count == "1" else f"{count or '?'} filters"


def _nothing(interpreter: Interpreter) -> Command:
    """A command for probing: its cell is started and never given the run."""
    return Command(
        target="nothing:nothing",
        handle="job",
        interpreter=interpreter,
        limits=Limits(),
    )


def this_interpreter() -> Interpreter:
    """Return the base interpreter of the running Python."""
    import platform  # noqa: PLC0415 – only a probe needs these
    import sys  # noqa: PLC0415
    import sysconfig  # noqa: PLC0415

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    executable = Path(sys.base_prefix) / "bin" / f"python{version}"
    return Interpreter(
        executable=executable.resolve(),
        prefix=Path(sys.base_prefix),
        version=platform.python_version(),
        soabi=str(sysconfig.get_config_var("SOABI")),
    )


def _no_network(
    status: Mapping[str, str],
    own: tuple[str, ...],
    *,
    has_routes: bool,
    refuses_sockets: bool,
    network: NetworkRules | None,
) -> Layer:
    if network is not None:
        return Layer(name="network", in_force="net" in own, detail=f"proxy: {network}")
    if "net" in own:
        inside = "its own loopback" if has_routes else "nothing"
        detail = f"a network namespace with {inside} in it"
        return Layer(name="no network", in_force=True, detail=detail)
    is_refused = status["Seccomp"] == "2" and refuses_sockets
    detail = "seccomp refuses every socket" if is_refused else ""
    return Layer(name="no network", in_force=is_refused, detail=detail)


def _has_no_capabilities(status: Mapping[str, str]) -> bool:
    """Say whether no set is left that could be used or, by exec, regained (capabilities(7))."""
    sets = [status[name] or "1" for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")]
    return all(int(value, 16) == 0 for value in sets) and status["NoNewPrivs"] == "1"


def _host_uid(status: Mapping[str, str]) -> str:
    uids = status["Uid"].split()
    return f"uid {uids[0]}" if uids else ""


def _is_unprivileged(status: Mapping[str, str]) -> bool:
    """Say whether no id is root's: real, effective, saved or of files, nor a group's (proc(5))."""
    ids = [*status["Uid"].split(), *status["Gid"].split(), *status["Groups"].split()]
    return bool(ids) and ("0" not in ids or not is_root_of_the_host())
