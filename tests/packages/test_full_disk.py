"""A disk that is full is told as that, with what frees some; nothing half-made stays."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.locks import lock_of

from packages.bundle.requirements import Requirements
from packages.environment.environment import Environments
from packages.errors import EnvironmentFailed, LockFailed
from packages.interpreters import target_of
from packages.lock.diagnosis import Circumstances, diagnose
from packages.lock.grant import Grant
from packages.lock.locker import Locker
from sandbox.command import Interpreter
from wheelhouse.store import Wheel

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k,mode=755", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this root may not mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_uv_on_a_full_disk_is_told_as_that(
    small_disk: Path,
    locker: Locker,
    add: Callable[..., Wheel],
    wants: Callable[[str], Requirements],
    interpreter: Interpreter,
    closed: Grant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(40):
        add(f"many-{number}")
    (small_disk / "filler").write_bytes(bytes(150 * 1024))
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    wanted = wants(" | ".join(f"many-{number}" for number in range(40)))
    with pytest.raises(LockFailed) as failed:
        await locker.lock(wanted, interpreter=interpreter, grant=closed)
    (problem,) = failed.value.problems
    assert problem.code == "disk-full"
    assert "fumehood env gc" in problem.mend


async def test_an_environment_that_does_not_fit_leaves_nothing(
    small_disk: Path,
    environments: Environments,
    add: Callable[..., Wheel],
    interpreter: Interpreter,
) -> None:
    wheel = add("big", files={"big.bin": os.urandom(400 * 1024)})
    small = replace(environments, root=small_disk / "environments")
    with pytest.raises(EnvironmentFailed) as failed:
        await small.ensure(lock_of(wheel), interpreter=interpreter)
    assert [p.code for p in failed.value.problems] == ["disk-full"]
    left = [p.name for p in small.root.iterdir() if p.name not in (".locks", ".leases")]
    assert left == []


def test_an_unknown_wording_of_uv_still_keeps_its_explanation(
    interpreter: Interpreter, closed: Grant
) -> None:
    tried = Circumstances(
        target=target_of(interpreter), grant=closed, index="the index", used_index=False
    )
    (problem,) = diagnose("error: something new\n  cause: never seen before\n", [], tried)
    assert problem.code == "lock-unexplained", "nobody's requirements are blamed"
    assert "something new never seen before" in problem.what
