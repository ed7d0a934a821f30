"""A child that imports a package, is held when it is done, and is forked by the kernel alone.

From the moment that it is held it executes nothing: the promise of a warm cell, that two of its
runs share what the import made before either began and nothing else, rests on that and on what
fitness.py finds in it then.
"""

from __future__ import annotations

import os
import select

from ..kernel import scm_rights, syscalls
from . import doors, fitness, forking, importing, tracee
from .fitness import Unfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

    from . import net_namespaces
    from .kind import Kind

_WORD_BYTES = 4096
_GO = b"."
_END_OF_WORD = importing.END_OF_WORD.decode()
_NO_PTRACE = "this host lets no warm cell be held (kernel.yama.ptrace_scope): %s"
_UNHOLDABLE = "preload left a process that cannot be held: %s"
_LAST_LOW = syscalls.RULES_FROM - 1
"""Descriptors up to here are closed before and after each fork."""


class Imported:
    """The child, its door while it imports, and what its forks are born into."""

    def __init__(self, setup: dict[str, Any], kind: Kind) -> None:
        self._setup, self._kind = setup, kind
        self._processes_fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        kind.furnish()
        # Before there is package code with our uid, which could trace us (ptrace(2)).
        syscalls.be_unreachable()
        self._door, self._their_door = scm_rights.pair()
        self._door_inode = os.fstat(self._their_door).st_ino
        self.pid = os.fork()
        if self.pid == 0:
            self._be_it()
        self._tracee = tracee.Tracee(self.pid)
        self._networks: net_namespaces.Networks | None = None
        # Forks are children of ours: the held process executes nothing, and so waits for nobody.
        self._flags = syscalls.SIGCHLD | syscalls.CLONE_PARENT
        self._places = _places(setup["landlock"])
        self._limits = syscalls.packed_limits(setup["rlimits"])
        self._outbox = scm_rights.Outbox(most_bytes=forking.FOLDER_BYTES)

    def _be_it(self) -> None:
        """Be the child: with the streams and its door, and nothing else of ours."""
        try:
            os.dup2(self._their_door, importing.DOOR)  # the channel to the worker goes with that
            os.closerange(importing.DOOR + 1, 65_536)
            syscalls.die_with_parent()
            importing.main(self._setup, self._kind)
        finally:
            os._exit(70)

    def wait(self, hang_up_fd: int) -> Unfit | None:
        """Wait until the import is done; return why it failed or is unfit, or None.

        Ends this process where `hang_up_fd` is hung up, since nobody waits for us any more, and
        where the import has ended its own.
        """
        os.close(self._their_door)
        watch = select.poll()
        watch.register(self._door, select.POLLIN)
        watch.register(hang_up_fd, 0)  # POLLHUP is told unasked (poll(2))
        if any(fd == hang_up_fd for fd, _ in watch.poll()):
            raise SystemExit
        word = os.read(self._door, _WORD_BYTES)
        if word[:1] == importing.FAILED:
            reason, _, text = word[1:].decode("utf-8", "replace").partition(_END_OF_WORD)
            return Unfit(reason, text)
        if word != importing.IMPORTED:
            raise SystemExit
        try:
            return self._unfitness(places=())
        except (OSError, ValueError) as fault:
            return Unfit("", _UNHOLDABLE % (fault,))

    def hold(self) -> Unfit | None:
        """Stop it for good; return why its forks would not be fresh, or None."""
        try:
            try:
                self._tracee.seize()
            except OSError as fault:
                return Unfit("", _NO_PTRACE % (fault,))
            os.write(self._door, _GO)
            self._tracee.hold()
            # Once more: it ran until now, and may have made since what it had not made before.
            unfit = self._unfitness(places=self._places)
            if unfit is None:
                self._prepare()
        except (OSError, ValueError, tracee.Gone) as fault:
            return Unfit("", _UNHOLDABLE % (fault,))
        return unfit

    def _unfitness(self, *, places: Container[tuple[int, int]]) -> Unfit | None:
        """Return why its forks would not be fresh, or None; final only once it is held."""
        strangers = self._kind.strangers(self._processes_fd, self.pid)
        return fitness.unfitness(
            self.pid, door=self._door_inode, strangers=strangers, places=places
        )

    def _prepare(self) -> None:
        """Close its door, and have it ready to be forked, as it runs no code any more."""
        os.close(self._door)
        self._tracee.make("close_range", importing.DOOR, _LAST_LOW, 0)
        namespaces, self._networks = self._kind.prepare_forks(self._tracee, self._setup)
        self._flags |= namespaces
        self._doors = doors.Doors(self._tracee)

    def fork(self, folder: str, fds: tuple[int, ...]) -> tuple[int, net_namespaces.Network | None]:
        """Let the kernel fork it; return the fork's pid, and the net namespace that it is in.

        The fork gets its descriptors by a door that no other fork ever had, and is limited
        before. Raises OSError where the kernel refuses one more, tracee.Gone where there will be
        no other.
        """
        network = None if self._networks is None else self._networks.enter()
        place = self._tracee.argument(3)
        noted = syscalls.CLONE_CHILD_SETTID | syscalls.CLONE_CHILD_CLEARTID if place else 0
        door = -1
        try:
            door = self._doors.open()
            pid = self._tracee.make("clone", self._flags | noted, 0, 0, place, place)
        except OSError:
            self.give_back(network)
            if door >= 0:
                os.close(door)
            raise
        finally:
            # Whatever came of it: a door that stays open here would be in the next fork, too.
            self._tracee.make("close_range", importing.DOOR, _LAST_LOW, 0)
        # Before its streams are sent, without which it gets no further, and runs no package code.
        syscalls.limit_other(pid, self._limits)
        self._send_streams(door, folder, fds)
        return pid, network

    def _send_streams(self, door: int, folder: str, fds: tuple[int, ...]) -> None:
        """Send its streams, and a /dev/null of its own: fcntl(2) changes open files, not places."""
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._outbox.send(door, folder.encode(), (*fds, nothing))
        finally:
            os.close(nothing)
            os.close(door)

    def give_back(self, network: net_namespaces.Network | None) -> None:
        """Let the next fork have the namespace, once the one that had it is dead."""
        if self._networks is not None and network is not None:
            self._networks.give_back(network)


def _places(landlock: dict[str, Any] | None) -> frozenset[tuple[int, int]]:
    """Return what the rules of Landlock are about, as (device, inode)."""
    found: set[tuple[int, int]] = set()
    for path, _ in landlock["rules"] if landlock else ():
        try:
            status = os.stat(path)
        except OSError:
            continue
        found.add((status.st_dev, status.st_ino))
    return frozenset(found)
