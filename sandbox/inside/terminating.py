"""SIGTERM lets a run clean up, and ends what the run has forked, as any other process.

A forked child has the run's handler and its frames, through which it would come to speak for
the run. And what reaches a child before CPython has mended it is forgotten there: a worker of
multiprocessing.Pool that is ended at once would live, and the pool wait for it without end.
So SIGTERM is held back around each fork, until the child has the default again.
"""

from __future__ import annotations

import os
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Iterable
else:
    import _signal  # built in; signal brings enum along


class Terminated(BaseException):
    """SIGTERM from outside: the run may clean up, then it is killed."""


def listen() -> None:
    """Raise Terminated in this process at SIGTERM; once in a process."""
    forks = _Forks()
    _signal.signal(_signal.SIGTERM, _terminate)
    os.register_at_fork(
        before=forks.hold, after_in_parent=forks.release, after_in_child=forks.begin
    )


def _terminate(_number: int, _frame: object) -> None:
    raise Terminated


class _Forks:
    """Holds SIGTERM back in each thread that forks just now."""

    def __init__(self) -> None:
        self._masks: dict[int, Iterable[int]] = {}

    def hold(self) -> None:
        self._masks[get_ident()] = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM,))

    def release(self) -> None:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._masks.pop(get_ident()))

    def begin(self) -> None:
        """Have the default, unless the package has set a handler of its own."""
        if _signal.getsignal(_signal.SIGTERM) is _terminate:
            _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
        self.release()
