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


class Listener:
    """Hears SIGTERM in this process and those forked from it; one in a process.

    Until it is told to listen, SIGTERM ends the process, and forks are left alone: a warm cell
    makes it once for all its forks, as what it takes to make one would be copied in each.
    """

    def __init__(self) -> None:
        self._is_listening = False
        self._masks: dict[int, Iterable[int]] = {}
        self._handler = self._hear
        _signal.signal(_signal.SIGTERM, self._handler)
        os.register_at_fork(
            before=self._hold, after_in_parent=self._release, after_in_child=self._begin
        )

    def listen(self) -> None:
        """Raise Terminated at SIGTERM from here on: there is a run that may clean up."""
        self._is_listening = True

    def is_on(self) -> bool:
        """Say whether it was told to listen: this process has a run, or was forked by one."""
        return self._is_listening

    def stop(self) -> None:
        """Be as before it was told to listen."""
        self._is_listening = False

    def _hear(self, number: int, _frame: object) -> None:
        if self._is_listening:
            raise Terminated
        os._exit(128 + number)

    def _hold(self) -> None:
        """Hold SIGTERM back in the thread that forks just now."""
        if self._is_listening:
            held = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM,))
            self._masks[get_ident()] = held

    def _release(self) -> None:
        if self._is_listening:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, self._masks.pop(get_ident()))

    def _begin(self) -> None:
        """Have the default, unless the package has set a handler of its own."""
        if self._is_listening:
            if _signal.getsignal(_signal.SIGTERM) is self._handler:
                _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
            self._release()
