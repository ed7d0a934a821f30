"""What a fork does between its clone(2) and its run: a script that is ready before.

It gets its streams, its ids and a view of its own; drops every capability; shuts Landlock,
seccomp and its limits behind itself; and says hello. Package code is touched only after it.
"""

from __future__ import annotations

import os

from . import mail, syscalls, walls
from .channel import framed
from .script import Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMESPACES = (
    syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC
)
"""The namespaces that every run has for itself; its net namespace comes from Networks."""

_PRIVATE = syscalls.MS_NOSUID | syscalls.MS_NODEV
_AT_FDCWD = -100
_LAST = -1
"""The highest descriptor that can be (an unsigned int, close_range(2))."""
_CHANNEL = 3
_KILL = 9
_UNSHUT = 70
"""EX_SOFTWARE of sysexits.h: the walls of a fork could not be shut."""


class Birth:
    """The script of one warm cell's forks. Make it while nothing is open but the channel.

    The calls name descriptors by number before they are open: the kernel always gives the
    lowest that is free (open(2)).
    """

    def __init__(self, setup: dict[str, Any]) -> None:
        self._id_place = syscalls.place_of_id()
        self._script = Script()
        self._add = self._script.add
        landlock = setup["landlock"]
        rules = syscalls.rules(landlock["rules"]) if landlock else []
        self._free = _CHANNEL + 1 + len(rules)
        _check_is_free(self._free)
        self._streams = [self._add("dup3", 0, number, 0) for number in (_CHANNEL, 1, 2)]
        self._add("close_range", self._free, _LAST, 0)
        self._become_a_process(setup)
        self._inputs = self._mount(setup)
        self._drop_privileges()
        if landlock:
            self._shut_landlock(landlock, rules)
        if setup["closing_seccomp"] is not None:
            self._filter = syscalls.Filter(setup["closing_seccomp"])
            self._add("seccomp", syscalls.SECCOMP_SET_MODE_FILTER, 0, self._filter.packed)
        self._close_all()
        for which, value in syscalls.limits(walls.limits_of_runs(setup)):
            self._add("prlimit64", 0, which, value)
        self._say_hello(setup)

    def fork(self, folder: str, fds: tuple[int, ...]) -> int:
        """Fork, as syscalls.fork_into says; forks differ in the inputs and the three streams."""
        for number, fd in enumerate(fds):
            self._script.change(self._streams[number], 0, fd)
        self._script.change(self._inputs, 0, b"/input/%s/input" % (folder.encode(),))
        return syscalls.fork_into(_NAMESPACES, self._happen, id_place=self._id_place)

    def _happen(self) -> None:
        """Make the calls, in the fork, which ends where one is refused.

        Nothing is called here that a package could know of: its functions for forks run later.
        """
        try:
            self._script.play()
        except BaseException as fault:
            try:
                os.write(2, b"%s\n" % (str(fault).encode(),))
            finally:
                os._exit(_UNSHUT)

    def _become_a_process(self, setup: dict[str, Any]) -> None:
        """Die with the warm cell; have a session, its ids, and no signals held back."""
        self._add("prctl", syscalls.PR_SET_PDEATHSIG, _KILL)
        self._add("setsid")
        self._add("rt_sigprocmask", syscalls.SIG_SETMASK, bytes(8), 0, 8)
        for path, text in walls.identity(setup["uid"], setup["gid"]):
            fd = self._open(path, os.O_WRONLY)
            self._add("write", fd, text, len(text))
            self._close(fd)

    def _mount(self, setup: dict[str, Any]) -> int:
        """Have scratch, output, /proc and inputs of its own; return the place of the inputs.

        The kernel refuses a /proc where parts of the outer one are covered, as in a container:
        there the run sees none at all.
        """
        for name in ("scratch", "output"):
            options = b"mode=0755,size=%d,nr_inodes=%d" % (
                setup["mounts"][name + "_bytes"],
                setup["mounts"]["inodes"],
            )
            target = setup[name + "_dir"].encode()
            self._add("mount", b"tmpfs", target, b"tmpfs", _PRIVATE, options)
        nothing = (b"tmpfs", b"/proc", b"tmpfs", _PRIVATE | syscalls.MS_RDONLY, b"size=4096")
        self._add(
            "mount", b"proc", b"/proc", b"proc", _PRIVATE | syscalls.MS_NOEXEC, instead=nothing
        )
        inputs = self._add("mount", b"", b"/input", b"", syscalls.MS_BIND)
        for folder in walls.places_in(setup["scratch_dir"]):
            self._add("mkdirat", _AT_FDCWD, folder.encode(), 0o1777)
        self._add("chdir", setup["scratch_dir"].encode())
        return inputs

    def _drop_privileges(self) -> None:
        """Empty the bounding set, then every other capability set (capabilities(7))."""
        for capability in range(syscalls.capabilities()):
            self._add("prctl", syscalls.PR_CAPBSET_DROP, capability)
        self._add("capset", syscalls.CAP_HEADER, syscalls.NO_CAPABILITIES)
        self._add("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1)
        self._add("prctl", syscalls.PR_SET_DUMPABLE, 1)

    def _shut_landlock(self, landlock: dict[str, Any], rules: list[bytes]) -> None:
        own: list[bytes] = []
        for path, rights in landlock["run_rules"]:
            own.append(syscalls.rule(self._open(path, syscalls.O_PATH), rights))
        ruleset = self._free
        self._add("landlock_create_ruleset", landlock["ruleset"], len(landlock["ruleset"]), 0)
        for rule in rules + own:
            self._add("landlock_add_rule", ruleset, syscalls.LANDLOCK_RULE_PATH_BENEATH, rule, 0)
        self._add("landlock_restrict_self", ruleset, 0)

    def _say_hello(self, setup: dict[str, Any]) -> None:
        """Send hello, with descriptors of the output and scratch folders."""
        folders = [
            self._open(setup[name], os.O_RDONLY | os.O_DIRECTORY)
            for name in ("output_dir", "scratch_dir")
        ]
        self._hello = mail.Message(framed({"kind": "hello"}), folders)
        self._add("sendmsg", _CHANNEL, self._hello.packed, 0)
        self._close_all()

    def _open(self, path: str, flags: int) -> int:
        """Open it in the fork; return the number that its descriptor will have."""
        self._add("openat", _AT_FDCWD, path.encode(), flags)
        self._free += 1
        return self._free - 1

    def _close(self, fd: int) -> None:
        """Close what was opened last."""
        self._add("close", fd)
        self._free = fd

    def _close_all(self) -> None:
        """Close all but the streams and the channel."""
        self._add("close_range", _CHANNEL + 1, _LAST, 0)
        self._free = _CHANNEL + 1


def _check_is_free(fd: int) -> None:
    """See that nothing but the rules is open; whoever finds otherwise is started cold."""
    free = os.open("/", syscalls.O_PATH)
    os.close(free)
    if free != fd:
        raise RuntimeError("descriptor %d is free, not %d" % (free, fd))
