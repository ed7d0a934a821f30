"""Whose the home is, and that nobody else gets in: one owner, 0700, no way to swap it.

Inputs, bundles and locks lie in it. Modes of what is below matter to the users of cells only,
so all that keeps other local users out is the mode of the home itself, and who may rename it.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from runtime.faults.errors import SettingsRefused
from sandbox.walls.host import is_crossed_by_cells
from wheelhouse.problem import Problem

CLOSED = 0o700


def guard_home(home: Path, *, may_be_crossed: bool = False) -> None:
    """Make `home` if there is none and shut it to others. Raises SettingsRefused, OSError.

    `may_be_crossed` leaves it as an appliance without namespaces needs it for its cells.
    """
    if problems := tuple(_problems(home)):
        raise SettingsRefused(problems=problems)
    home.mkdir(mode=CLOSED, parents=True, exist_ok=True)
    if not (may_be_crossed and is_crossed_by_cells(home)):
        home.chmod(CLOSED)


def ways_in(home: Path) -> tuple[Problem, ...]:
    """Return how another user of the host could get into `home` as it is; for doctor."""
    problems = tuple(_problems(home))
    mode = stat.S_IMODE(home.stat().st_mode)
    if not mode & 0o077 or is_crossed_by_cells(home):
        return problems
    what = f"its mode is {mode:04o}: others may look into it"
    mend = f"`chmod 700 {home}`, or start the appliance, which does it"
    return (*problems, _problem(home, what=what, mend=mend))


def _problems(home: Path) -> Iterator[Problem]:
    if home.is_symlink():
        yield _problem(
            home,
            what="the home is a link, and whoever can change the link chooses what we read",
            mend=f"set FUMEHOOD_HOME to what it leads to: {home.resolve()}",
        )
    elif home.exists() and home.stat().st_uid != os.geteuid():
        yield _problem(
            home,
            what=f"the home belongs to uid {home.stat().st_uid}, and we are uid {os.geteuid()}",
            mend=f"run as its owner, or `chown -R {os.geteuid()} {home}`",
        )
    for folder in dict.fromkeys((*home.absolute().parents, *home.resolve().parents)):
        if folder.is_dir():
            yield from _way_in(folder)


def _way_in(folder: Path) -> Iterator[Problem]:
    """Yield what lets others put something else in the place of what is in `folder`.

    In a sticky folder, such as /tmp, only the owner may rename or remove (inode(7)).
    """
    status = folder.stat()
    if status.st_uid not in {0, os.geteuid()} and not _is_unmapped(status.st_uid):
        yield _problem(
            folder,
            what=f"uid {status.st_uid} owns it, who could put another home in place of ours",
            mend="choose a home below folders of our own or of root's",
        )
    if status.st_mode & stat.S_ISVTX:
        return
    if status.st_mode & stat.S_IWOTH:
        yield _problem(
            folder,
            what="everybody may write to it, and put another home in place of ours",
            mend=f"`chmod o-w {folder}`, or choose another home",
        )
    elif status.st_mode & stat.S_IWGRP and status.st_gid not in {0, os.getegid()}:
        yield _problem(
            folder,
            what=f"group {status.st_gid} may write to it, and put another home in place of ours",
            mend=f"`chmod g-w {folder}`, or choose another home",
        )


def _is_unmapped(uid: int) -> bool:
    """Return whether `uid` stands for users that this user namespace has no number for.

    Nobody in the namespace can act as they do (user_namespaces(7)): root of the host is one.
    """
    overflow = int(Path("/proc/sys/kernel/overflowuid").read_text())
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    maps = [[int(word) for word in line.split()] for line in lines]
    return uid == overflow and not any(first <= uid < first + count for first, _, count in maps)


def _problem(path: Path, *, what: str, mend: str) -> Problem:
    return Problem(code="unsafe-home", what=what, where=str(path), mend=mend)
