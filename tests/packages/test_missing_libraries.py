"""What an environment needs of the host and does not find there is told before the first job."""

import os
from pathlib import Path

import pytest
from support.elf import library
from support.wheels import UPLOADED, make_wheel

from packages.bundle.requirements import parse
from packages.environment.environment import Environments
from packages.environment.libraries import missing_libraries
from packages.interpreters import running
from packages.lock.locker import Locker
from sandbox.command import Level
from sandbox.sandbox import Sandbox
from wheelhouse.problem import Problem
from wheelhouse.store import Wheelhouse

TAG = f"py3-none-manylinux2014_{os.uname().machine}"
ABSENT = "libfumehood-absent.so.7"


@pytest.fixture
def told(house: Wheelhouse, locker: Locker, environments: Environments, sandbox, tmp_path, closed):
    """Install a wheel with these files; return what is told of its libraries."""

    async def telling(files: dict[str, bytes], *, run=None, tag: str = TAG) -> tuple[Problem, ...]:
        path = make_wheel(tmp_path, "compiled", files=files, tag=tag)
        house.add(path, origin=UPLOADED)
        wanted, _ = parse({"requirements.txt": b"compiled\n"})
        lock = (await locker.lock(wanted, interpreter=running(), grant=closed)).lock
        environment = await environments.ensure(lock, interpreter=running())
        return await missing_libraries(
            environment,
            interpreter=running(),
            run=run or sandbox.run,
            least=Level.UNPRIVILEGED,
        )

    return telling


async def test_a_library_that_nobody_has_is_told_with_who_needs_it(told):
    files = {
        "cv2/one.so": library(needed=[ABSENT, "libc.so.6"]),
        "cv2/two.abi3.so": library(needed=[ABSENT]),
    }
    (notice,) = await told(files)
    assert notice.code == "missing-library"
    assert ABSENT in notice.what and "cv2/one.so and 1 more" in notice.what
    assert "opencv-python-headless" in notice.mend


async def test_what_is_anywhere_in_the_environment_or_on_the_host_is_not_told(told):
    files = {
        "a/by_file.so": library(needed=["libbeside-1.2.so.3", "libc.so.6", "libm.so.6"]),
        "a/by_soname.so": library(needed=["libcalled.so.1"]),
        "a/by_runpath.so": library(needed=["passwd"], runpath="/there/is/none:/etc"),
        "a.libs/libbeside-1.2.so.3": library(),
        "a.libs/other.so": library(soname="libcalled.so.1"),
    }
    assert await told(files) == ()


async def test_what_a_library_is_known_to_do_without_is_not_told(told):
    files = {"numba/np/tbbpool.so": library(needed=["libtbb.so.12", "libc.so.6"])}
    assert await told(files) == ()


async def test_what_is_no_library_of_this_machine_is_passed_over(told):
    right = library(needed=[ABSENT])
    files = {
        "a/text.so": b"INPUT(-lm)\n",
        "a/short.so": right[:100],
        "a/no_strings.so": right.replace(b"\x05" + bytes(7), b"\x06" + bytes(7)),
        "a/far.so": right[:32] + b"\xff" * 8 + right[40:],
        "a/foreign.so": right[:18] + b"\x28\x00" + right[20:],
        "a/empty.so": b"",
    }
    assert await told(files) == ()


async def test_an_environment_of_pure_wheels_is_not_looked_at(told):
    async def run(*_, **__):
        raise AssertionError("a cell was started")

    assert await told({"a/b.so": library(needed=[ABSENT])}, run=run, tag="py3-none-any") == ()


async def test_it_is_told_where_there_are_no_namespaces(told, sandbox: Sandbox, world: Path):
    plain = await Sandbox.open(world / "plain-cells", without_namespaces=True)
    try:
        (notice,) = await told({"a/b.so": library(needed=[ABSENT, "libc.so.6"])}, run=plain.run)
    finally:
        await plain.close()
    assert ABSENT in notice.what
