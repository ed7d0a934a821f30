"""A cold cell: one process, started behind the outer wall for one run."""

from __future__ import annotations

import faulthandler
import os
import sys

from . import run, sigterm, walls
from .channel import Channel
from .kernel import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_TELL_WHERE = 62
"""A real-time signal that no program uses: the run prints where all its threads are."""


_OF_THE_RUNNER = (
    *("isolated", "ignore_environment", "no_user_site", "no_site", "safe_path"),
    "dont_write_bytecode",
)


def main(fd: int) -> None:
    """Serve exactly one run on the channel `fd`, then end."""
    channel = Channel(fd)
    setup = channel.receive()
    if setup is None:
        return
    prepare(setup)
    walls.make_scratch(setup["scratch_dir"])
    if setup["leaves_network"]:
        walls.leave_network()
    shut_walls(channel, setup, walls.of_cold(setup))
    request = channel.receive()
    if request is None:  # the worker let the cell go, and there is nothing of a package to end
        os._exit(0)
    honour_pth_files(setup["environment_path"])
    code = run.answer(channel, request, sigterm.Listener())
    channel.wait_for_end()
    syscalls.end(code)


def prepare(setup: dict[str, Any]) -> None:
    """Make this interpreter look like the environment's own; import nothing of it yet."""
    os.umask(0o022)
    sys.path[:0] = setup["bundle_path"]
    sys.path.extend(setup["environment_path"])
    if setup["prefix"]:
        sys.prefix = sys.exec_prefix = setup["prefix"]
        executable = os.path.join(setup["prefix"], "bin", "python")
        if os.path.exists(executable):
            sys.executable = executable
    sys.dont_write_bytecode = True
    sys.argv = [setup["argv0"]]
    # multiprocessing would run it in each process that it spawns; it is the runner's start.
    vars(sys.modules["__main__"]).pop("__file__", None)
    sys.stdout.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    # At a crash, and at the signal that the worker sends before it ends a run.
    faulthandler.enable(2)
    faulthandler.register(_TELL_WHERE, 2, chain=False)
    _let_children_find(setup["bundle_path"] + setup["environment_path"])
    os.environ.update(setup["variables"])
    make_home(setup["scratch_dir"])


def _let_children_find(folders: list[str]) -> None:
    """Let interpreters that the run starts find what it finds, and be as its author's would be.

    Flags are handed on to children (subprocess, multiprocessing): ours are for the runner, and with
    -I joblib's resource tracker, for one, cannot import its own package.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
    flags = _Flags(sys.flags)
    for name in dir(sys.flags):
        if not name.startswith(("_", "n_")) and name not in {"count", "index"}:
            value = getattr(sys.flags, name)
            setattr(flags, name, type(value)(0) if name in _OF_THE_RUNNER else value)
    sys.flags = flags  # pyright: ignore[reportAttributeAccessIssue]


class _Flags(tuple):  # pyright: ignore
    """sys.flags without those of the runner: its own type cannot be made by anybody."""


def make_home(scratch_dir: str) -> None:
    """Make scratch the home, and its tmp the place for temporary files."""
    os.environ["HOME"] = scratch_dir
    os.environ["TMPDIR"] = scratch_dir + "/tmp"


def shut_walls(channel: Channel, setup: dict[str, Any], own: walls.Walls) -> None:
    """Shut the walls, close what only they needed, and say hello."""
    os.chdir(setup["scratch_dir"])
    own.shut()
    os.closerange(channel.fileno() + 1, 65536)
    own.limit()
    channel.send({"kind": "hello"})


def honour_pth_files(folders: list[str]) -> None:
    """Run the environment's .pth files, as site would: here, behind the walls (site docs)."""
    for folder in folders:
        if any(name.endswith(".pth") for name in os.listdir(folder)):
            __import__("site").addsitedir(folder)
