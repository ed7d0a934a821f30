"""The usual hosts and what they are in want of: each hint names the cause and the mend."""

import contextlib
import os
import platform
import resource
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.sandbox import Sandbox


def hints(sandbox: "Sandbox") -> tuple[str, ...]:
    """Return what is known about a host of this kind, the most useful first."""
    found: list[str] = []
    is_on_host = not sandbox.launcher.has_namespaces
    if is_on_host:
        found += _namespace_hints(sandbox.host.bubblewrap is None)
    if sandbox.hierarchy is None:
        found.append(_cgroup_hint())
    if is_on_host and os.geteuid() == 0:
        found += _unreachable_interpreter()
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 and _says_pipe():
        found.append(
            "core dumps go to a program (kernel.core_pattern), and the hard limit of core dumps is "
            "0, which lets it have a run's memory: LimitCORE=1 in the unit, or `--ulimit core=1`"
        )
    return tuple(found)


def _namespace_hints(is_bubblewrap_missing: bool) -> list[str]:  # noqa: FBT001 – a plain fact
    found: list[str] = []
    if is_bubblewrap_missing:
        found.append("bubblewrap is missing: apt-get install bubblewrap")
    if _says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"):
        found.append(
            "Ubuntu's AppArmor rule refuses user namespaces to programs without a profile: "
            "install the distribution's bubblewrap and its profile (apparmor-profiles), or "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if _says("/proc/sys/kernel/unprivileged_userns_clone", "0"):
        found.append("sysctl kernel.unprivileged_userns_clone=1 (Debian 10 and hardened kernels)")
    if _says("/proc/sys/user/max_user_namespaces", "0"):
        found.append("sysctl user.max_user_namespaces=15000 (it is 0)")
    if _is_container():
        found.append(
            "this is a container: its runtime's default seccomp profile refuses namespaces. "
            "Docker: --security-opt seccomp=unconfined --security-opt systempaths=unconfined "
            "(and --security-opt apparmor=unconfined on Ubuntu), or stay at level unprivileged"
        )
    if _is_proc_masked():
        found.append(
            "parts of /proc are covered, so no cell can have its own: "
            "--security-opt systempaths=unconfined"
        )
    if "microsoft" in platform.release().lower():
        found.append("this is WSL: use WSL 2 with a kernel of 5.15 or later")
    if _has_hidepid():
        found.append("/proc is mounted with hidepid: remount it without, for the worker's user")
    return found


def _cgroup_hint() -> str:
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "no cgroup is delegated: mount cgroup2 on /sys/fs/cgroup, or run the worker as root"
    return (
        "no cgroup is delegated: start the worker with `systemd-run --user --scope -p "
        "Delegate=yes …`, or with Delegate=yes in its unit; until then rlimits and a watchdog hold"
    )


def _unreachable_interpreter() -> list[str]:
    """Say which folder on the way to the interpreter keeps the cells' user out."""
    path = Path(sys.base_prefix).resolve()
    for folder in (path, *path.parents):
        with contextlib.suppress(OSError):
            if not folder.stat().st_mode & stat.S_IXOTH:
                return [
                    f"the interpreter is below {folder}, which only its owner may enter, and "
                    "without namespaces cells run as a user of their own: use an interpreter "
                    "below /usr or /opt"
                ]
    return []


def _says(path: str, wanted: str) -> bool:
    try:
        return Path(path).read_text(encoding="ascii").strip() == wanted
    except OSError:
        return False


def _says_pipe() -> bool:
    try:
        return Path("/proc/sys/kernel/core_pattern").read_text("utf-8", "replace").startswith("|")
    except OSError:
        return False


def _is_container() -> bool:
    return any(Path(path).exists() for path in ("/.dockerenv", "/run/.containerenv"))


def _mounts() -> list[list[str]]:
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.split() for line in lines]


def _is_proc_masked() -> bool:
    return any(fields[4].startswith("/proc/") for fields in _mounts())


def _has_hidepid() -> bool:
    return any(fields[4] == "/proc" and "hidepid" in fields[-1] for fields in _mounts())
