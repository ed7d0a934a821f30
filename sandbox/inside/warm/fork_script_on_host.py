"""What a fork does before its run where it shares the host's root: less than fork_script.py."""

from __future__ import annotations

import os

from .. import cold, walls
from ..channel import Channel
from ..kernel import scm_rights, syscalls
from . import forking

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    import _signal  # built in; signal brings enum along

_CHANNEL = 3
_UNSHUT = 70


class ForkScript:
    """The way of one warm cell's forks from their clone to their hello."""

    def __init__(self, setup: dict[str, Any], *, door: int) -> None:
        self.id_place = forking.place_of_id()
        self._setup = setup
        self._door = door
        self._inbox = scm_rights.Inbox(most_bytes=forking.FOLDER_BYTES, most_fds=4)
        landlock = setup["landlock"]
        self._rules: list[bytes] = []
        if landlock:
            self._rules = syscalls.rules(landlock["rules"], first_fd=syscalls.RULES_FROM)

    def play(self) -> None:
        """Get the streams and the folder of the run, shut the walls, and say hello."""
        try:
            folder, fds = self._inbox.receive(self._door)
            _be_born(fds)
            setup = _of_run(self._setup, folder.decode())
            cold.make_home(setup["scratch_dir"])
            walls.make_scratch(setup["scratch_dir"])
            os.chdir(setup["scratch_dir"])
            self._shut(setup["landlock"])
            os.closerange(_CHANNEL + 1, 65_536)
            channel = Channel(_CHANNEL)
            channel.send({"kind": "hello"})
            channel.await_something()
        except BaseException as fault:
            try:
                os.write(2, b"%s\n" % (str(fault).encode(),))
            finally:
                os._exit(_UNSHUT)

    def _shut(self, landlock: dict[str, Any] | None) -> None:
        """Give up what is left of privileges, and shut Landlock; the filter stands already."""
        syscalls.drop_capabilities()
        syscalls.no_new_privileges()
        syscalls.be_measurable()
        if landlock is not None:
            own = syscalls.rules(landlock["run_rules"])
            syscalls.landlock(landlock["ruleset"], self._rules + own)


def _be_born(fds: tuple[int, ...]) -> None:
    """Become a process of its own: own descriptors, own session, no signals held back."""
    # None is in another's way: the door has 3, and the kernel gave these what was free above.
    for fd, number in zip(fds, (_CHANNEL, 1, 2, 0)):  # noqa: B905 – not in 3.9
        os.dup2(fd, number)
    syscalls.die_with_parent()
    os.setsid()
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _of_run(value: Any, folder: str) -> Any:
    """Return the setup with the run's own folder wherever it says {run}."""
    if isinstance(value, str):
        return value.replace("{run}", folder)
    if isinstance(value, (list, tuple)):
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        return [_of_run(item, folder) for item in items]
    if isinstance(value, dict):
        pairs: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return {name: _of_run(item, folder) for name, item in pairs.items()}
    return value
