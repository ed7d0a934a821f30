"""What a warm cell does where it has namespaces; on_host.py is the other kind.

The warden chooses by which of its modules was started (warden.py, subreaper_warden.py), and hands
the kind on: nobody else asks.
"""

from __future__ import annotations

import os

from .. import walls
from ..kernel import procfs
from . import net_namespaces, own_signals
from .after_import import made_files
from .fork_script import ForkScript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..sigterm import Listener
    from .tracee import Tracee

_FIRST = 1
"""The first process of the cell's pid namespace, which is bubblewrap's."""

script = ForkScript
"""What a fork does before its run."""


def furnish() -> None:
    """Have no network, and mount what an import sees of /proc, before there is an import."""
    walls.leave_network()
    walls.hide_processes()
    walls.show_memory()


def begin_import(listener: Listener) -> None:
    """Be in a user namespace without a capability in it, and end by the signals sent to oneself.

    A fork is the first process of a pid namespace, which the kernel lets ignore them (own_signals).
    """
    walls.own_user_namespace()
    own_signals.end_by_them(listener.is_on)


def make_scratch(setup: dict[str, Any]) -> None:
    """Give the import a scratch of its own: forks mount theirs over it."""
    walls.make_scratch(setup["scratch_dir"])


def check_files(setup: dict[str, Any]) -> None:
    """See that forks can have copies of what the import left there. Raises made_files.TooMuch."""
    made_files.below(setup["scratch_dir"])


def strangers(processes_fd: int, child_pid: int) -> int:
    """Count the processes that the import left: all that are in its pid namespace, by any name."""
    known = {_FIRST, os.getpid(), child_pid}
    return len(procfs.processes(processes_fd) - known)


def prepare_forks(
    held: Tracee, setup: dict[str, Any]
) -> tuple[int, net_namespaces.Networks | None]:
    """Give the held process the power to make namespaces, as it runs no code any more.

    Return the flags of clone(2) for its forks, and where they get their net namespaces.
    """
    walls.hide_memory()
    walls.leave_shared_folder(setup["work_dir"])
    walls.own_user_namespace_of(held)
    return walls.NAMESPACES, net_namespaces.Networks(held)


def end_orphans(child_pid: int) -> None:
    """Do nothing: what a run left died with its pid namespace (pid_namespaces(7))."""
