"""What a warm cell does where it shares the host's namespaces; namespaced.py is the other kind."""

from __future__ import annotations

import os

from .. import subreaper
from ..kernel import procfs
from .fork_script_on_host import ForkScript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..sigterm import Listener
    from . import net_namespaces
    from .tracee import Tracee

script = ForkScript
"""What a fork does before its run."""


def furnish() -> None:
    """Do nothing: nobody may mount in the host's namespace."""


def begin_import(listener: Listener) -> None:
    """Do nothing: a fork is no first process, and dies of signals as any other."""


def make_scratch(setup: dict[str, Any]) -> None:
    """Do nothing: an import has no scratch, since its forks could not have one of their own."""


def check_files(setup: dict[str, Any]) -> None:
    """Do nothing: what an import left in its folder is removed before the first fork."""


def strangers(processes_fd: int, child_pid: int) -> int:
    """Count what the import left below us and below itself: all its orphans are ours (prctl(2))."""
    mine = procfs.children(os.getpid()) - {child_pid}
    return len(mine | procfs.children(child_pid))


def prepare_forks(
    held: Tracee, setup: dict[str, Any]
) -> tuple[int, net_namespaces.Networks | None]:
    """Return no flags of clone(2), and no net namespaces."""
    return 0, None


def end_orphans(child_pid: int) -> None:
    """Kill whatever a run left running: it has become ours, beside the held process."""
    subreaper.kill_descendants(apart_from=child_pid)
