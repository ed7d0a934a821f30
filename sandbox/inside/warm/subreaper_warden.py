"""A warm cell without namespaces: its warden ends whatever an import or a run leaves running."""

from __future__ import annotations

import os

from .. import subreaper
from ..kernel import syscalls
from . import on_host, warden

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # built in; signal brings enum along


def main(fd: int) -> None:
    """Be the warden, adopt every orphan, and end all when told to, or when the worker ends."""
    syscalls.be_subreaper()
    _signal.signal(_signal.SIGTERM, _end)
    syscalls.hear_of_parents_end()
    try:
        warden.serve(fd, on_host)
    finally:
        subreaper.kill_descendants()


def _end(_number: int, _frame: object) -> None:
    subreaper.kill_descendants()
    os._exit(0)
