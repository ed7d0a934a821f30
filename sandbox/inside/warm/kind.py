"""What namespaced.py and on_host.py have, each its own way: for type checkers alone.

Nothing here is imported in a cell, where typing would take as long as all of the runner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Any

    from ..sigterm import Listener
    from .net_namespaces import Networks
    from .tracee import Tracee


class Script(Protocol):
    """What a fork does before its run."""

    id_place: Any

    def play(self) -> None:
        """Do it, in the fork, which ends where one step is refused."""
        ...


class Kind(Protocol):
    """A module that knows what its kind of warm cell does otherwise."""

    def script(self, setup: dict[str, Any], *, door: int) -> Script:
        """Return what forks do; made while nothing is open but the channel."""
        ...

    def furnish(self) -> None:
        """Prepare what an import sees, in the warden."""
        ...

    def begin_import(self, listener: Listener) -> None:
        """Be the process that imports."""
        ...

    def make_scratch(self, setup: dict[str, Any]) -> None:
        """Give the import a scratch."""
        ...

    def check_files(self, setup: dict[str, Any]) -> None:
        """See that forks can have what the import left in it."""
        ...

    def strangers(self, processes_fd: int, child_pid: int) -> int:
        """Count the processes that the import left."""
        ...

    def prepare_forks(self, held: Tracee, setup: dict[str, Any]) -> tuple[int, Networks | None]:
        """Return the flags of clone(2) for forks, and where their net namespaces come from."""
        ...

    def end_orphans(self, child_pid: int) -> None:
        """End what a run has left running, when its first process is dead."""
        ...
