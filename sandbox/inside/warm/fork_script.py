"""What a fork does between its clone(2) and its run: a script that is ready before.

It gets its streams, its ids and a view of its own; drops every capability; shuts Landlock,
seccomp and its limits behind itself; and says hello. Package code is touched only after it.
"""

from __future__ import annotations

import os

from .. import walls
from ..channel import framed
from ..kernel import scm_rights, syscalls
from ..kernel.syscall_batch import Batch
from . import forking
from .after_import import made_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PRIVATE = syscalls.MS_NOSUID | syscalls.MS_NODEV
_READ_ONLY = syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | _PRIVATE
_AT_FDCWD = -100
_LAST = -1
"""The highest descriptor that can be (an unsigned int, close_range(2))."""
CHANNEL = 3
"""Where a fork has its channel, as every cell has."""
_KILL = 9
_MSG_PEEK = 2
_UNSHUT = 70
"""EX_SOFTWARE of sysexits.h: the walls of a fork could not be shut."""


class ForkScript:
    """The script of one warm cell's forks. Make it while nothing is open but the channel.

    The calls name descriptors by number before they are open: the kernel always gives the
    lowest that is free (open(2)).
    """

    def __init__(self, setup: dict[str, Any], *, door: int) -> None:
        self.id_place = forking.place_of_id()
        self._batch = Batch()
        self._add = self._batch.add
        landlock = setup["landlock"]
        rules = []
        if landlock:
            rules = syscalls.rules(landlock["rules"], first_fd=syscalls.RULES_FROM)
        _check_is_free(door + 1)
        self._free = door + 2  # both ends of its door are open
        self._take_streams(door)
        self._become_a_process(setup)
        self._mount(setup)
        self._drop_privileges()
        if landlock:
            self._shut_landlock(landlock, rules)
        self._close_all()
        self._say_hello()

    def play(self) -> None:
        """Make the calls, in the fork, which ends where one is refused.

        Nothing is called here that a package could know of: its functions for forks run later.
        """
        try:
            self._batch.play()
        except BaseException as fault:
            try:
                os.write(2, b"%s\n" % (str(fault).encode(),))
            finally:
                os._exit(_UNSHUT)

    def _take_streams(self, door: int) -> None:
        """Get channel and standard streams from the warden, by the door, and close that."""
        self._inbox = scm_rights.Inbox(most_bytes=forking.FOLDER_BYTES, most_fds=4)
        self._add("recvmsg", door, self._inbox.packed, scm_rights.MSG_CMSG_CLOEXEC)
        for position, number in enumerate((CHANNEL, 1, 2, 0)):
            self._add("dup3", self._free + position, number, 0)
        self._add("close_range", CHANNEL + 1, self._free + 3, 0)
        self._free = CHANNEL + 1

    def _become_a_process(self, setup: dict[str, Any]) -> None:
        """Die with the warm cell; have a session, its ids, and no signals held back."""
        self._add("prctl", syscalls.PR_SET_PDEATHSIG, _KILL)  # clone(2) inherits no such wish
        self._add("setsid")
        # The import may have blocked SIGTERM, by which a run is told to end (sigprocmask(2)).
        self._add("rt_sigprocmask", syscalls.SIG_SETMASK, bytes(8), 0, 8)
        for path, text in walls.identity(setup["uid"], setup["gid"]):
            fd = self._open(path, os.O_WRONLY)
            self._add("write", fd, text, len(text))
            self._close(fd)

    def _mount(self, setup: dict[str, Any]) -> None:
        """Have scratch and output, /proc and inputs of its own.

        The kernel refuses a /proc where parts of the outer one are covered, as in a container:
        there the run sees none at all.
        """
        for name in ("work", "input"):
            options = b"mode=0755,size=%d,nr_inodes=%d" % (
                setup["mounts"][name + "_bytes"],
                setup["mounts"]["inodes"],
            )
            target = setup[name + "_dir"].encode()
            self._add("mount", b"tmpfs", target, b"tmpfs", _PRIVATE, options)
        for name in ("scratch_dir", "output_dir"):
            self._add("mkdirat", _AT_FDCWD, setup[name].encode(), 0o755)
        self._show_inputs(setup["input_dir"].encode())
        nothing = (b"tmpfs", b"/proc", b"tmpfs", _PRIVATE | syscalls.MS_RDONLY, b"size=4096")
        self._add(
            "mount", b"proc", b"/proc", b"proc", _PRIVATE | syscalls.MS_NOEXEC, instead=nothing
        )
        no_proc = (b"", b"/proc", b"", _READ_ONLY)  # nothing is in it, and nothing is done
        self._add("mount", *walls.MEMORY, b"", syscalls.MS_BIND, instead=no_proc)
        places = [os.fsencode(folder) for folder in walls.places_in(setup["scratch_dir"])]
        for folder in places:
            self._add("mkdirat", _AT_FDCWD, folder, 0o1777)
        for made in made_files.below(setup["scratch_dir"]):
            if made.path not in places:
                self._make(made)

    def _make(self, made: made_files.Made) -> None:
        """Have what the import left in its scratch: a copy, which no other run sees."""
        if made.is_link:
            self._add("symlinkat", made.content, _AT_FDCWD, made.path)
            return
        if made.is_folder:
            self._add("mkdirat", _AT_FDCWD, made.path, 0o700)
        else:
            fd = self._open(os.fsdecode(made.path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._add("write", fd, made.content, len(made.content))
            self._close(fd)
        self._add("fchmodat", _AT_FDCWD, made.path, made.mode)

    def _show_inputs(self, place: bytes) -> None:
        """Show the inputs read-only, where the worker will have put them.

        It gets there through our working directory, which is below what is shown.
        """
        self._add("chdir", place)
        self._add("mount", place, place, b"", syscalls.MS_BIND)
        self._add("mount", b"", place, b"", _READ_ONLY)

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

    def _say_hello(self) -> None:
        """Send hello, without descriptors: those on their way count for all of a user's cells.

        The worker looks at everything else itself; the warden has set the limits.
        """
        self._hello = framed({"kind": "hello"})
        self._add("write", CHANNEL, self._hello, len(self._hello))
        # What packages have registered for forks runs when we have been looked at, not before.
        self._add("recvfrom", CHANNEL, bytes(1), 1, _MSG_PEEK)

    def _open(self, path: str, flags: int, mode: int = 0) -> int:
        """Open it in the fork; return the number that its descriptor will have."""
        self._add("openat", _AT_FDCWD, os.fsencode(path), flags, mode)
        self._free += 1
        return self._free - 1

    def _close(self, fd: int) -> None:
        """Close what was opened last."""
        self._add("close", fd)
        self._free = fd

    def _close_all(self) -> None:
        """Close all but the streams and the channel."""
        self._add("close_range", CHANNEL + 1, _LAST, 0)
        self._free = CHANNEL + 1


def _check_is_free(fd: int) -> None:
    """See that nothing but the rules is open; whoever finds otherwise is started cold."""
    free = os.open("/", syscalls.O_PATH)
    os.close(free)
    if free != fd:
        raise RuntimeError("descriptor %d is free, not %d" % (free, fd))
