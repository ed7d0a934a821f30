"""A lock of ours: no other user can take it, nobody waits for ever, and who holds it is named."""

import asyncio
import fcntl
import os
import stat
import subprocess
from pathlib import Path

import pytest
from support.lacking import lacking
from support.world import open_folder

from wheelhouse.errors import LockHeld
from wheelhouse.locks import exclusive, held, holders, open_lock, try_lock

NOBODY = 65_534


def take_as_another_user(path: Path) -> subprocess.Popen[bytes]:
    """Lock `path` as another local user would, by reading it only; flock(1)."""
    if os.geteuid() != 0:
        lacking("root, to act as another user")
    script = 'exec 9<"$0" || exit 9; flock -n 9 || exit 8; echo held; exec sleep 60'
    argv = ["sh", "-c", script, path]
    return subprocess.Popen(
        argv,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def test_another_user_cannot_take_a_lock_of_ours_whatever_its_mode_was() -> None:
    with open_folder() as folder:
        path = folder / "some.lock"
        path.touch(mode=0o644)
        for expected in (b"held\n", b""):
            attacker = take_as_another_user(path)
            assert attacker.stdout
            with attacker, attacker.stdout:
                assert attacker.stdout.readline() == expected
                attacker.kill()
            os.close(open_lock(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_who_holds_a_lock_is_named_and_not_waited_for_for_ever() -> None:
    with open_folder() as folder:
        path = folder / "some.lock"
        path.touch(mode=0o644)
        attacker = take_as_another_user(path)
        assert attacker.stdout
        with attacker, attacker.stdout:
            assert attacker.stdout.readline() == b"held\n"
            with pytest.raises(LockHeld) as refused, exclusive(path, patience_s=0.05):
                pass
            attacker.kill()
        (problem,) = refused.value.problems
        assert f"process {attacker.pid} (" in problem.what and f"uid {NOBODY})" in problem.what


async def test_the_event_loop_goes_on_while_a_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / ".locks" / "one"
    descriptor = open_lock(path)
    assert try_lock(descriptor)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert str(os.getpid()) in holders(path)
    with pytest.raises(LockHeld):
        async with held(path, is_shared=True, patience_s=0.05):
            pass
    waiting = asyncio.create_task(_take(path))
    await asyncio.sleep(0)
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    await waiting
    os.close(descriptor)


async def _take(path: Path) -> None:
    async with held(path):
        pass


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "some.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), exclusive(tmp_path / "some.lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()
