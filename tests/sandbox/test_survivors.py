"""Nothing outlives its run, its warm cell or its worker, whatever forked it and however."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from support.interpreters import reachable_copy

from sandbox.command import Command, Folder, Level, Warmth
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
LINGER = """
import os, sys
def linger(mark):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 100)
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", "import time; time.sleep(30)", mark])
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("has_cgroup", [True, False])
async def test_what_an_import_leaves_running_ends_with_the_import(world, tmp_path, has_cgroup):
    """It would see all runs come and go: the warm cell ends there, and the runs start cold."""
    mark = f"left-{os.getpid()}-{has_cgroup}"
    sandbox = await opened_without_namespaces(world, tmp_path, has_cgroup=has_cgroup)
    code = LINGER + f"linger({mark!r})\ndef extract(*, job, **_): return 1"
    outcome = await sandbox.run(
        command(world, code, warm=True), outputs_to=tmp_path / "outputs", observe=lambda _: None
    )
    assert outcome.is_ok
    assert outcome.isolation.start_reason == "preload left 1 child processes running"
    assert left_after_a_second(mark) == []
    await sandbox.close()


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("namespaces", [False, True])
def test_a_killed_worker_leaves_no_process_behind(world, warm, namespaces):
    mark = f"orphan-{os.getpid()}-{warm}-{namespaces}"
    with subprocess.Popen(
        [sys.executable, __file__, str(world), mark, str(int(warm)), str(int(namespaces))],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"running\n"
        assert survivors(mark)
        worker.kill()
    assert left_after_a_second(mark) == []


@pytest.mark.parametrize("namespaces", [True, False])
async def test_a_worker_that_is_the_init_of_a_container_keeps_no_dead_process(
    world, tmp_path, namespaces
):
    """What loses its parent would be its own to wait for, and would count in its cgroup for ever."""
    sandbox = await Sandbox.open(
        world / f"init-{namespaces}",
        without_namespaces=not namespaces,
        interpreter=reachable_copy(world),
    )
    code = "import os\ndef extract(*, job, **_): return os.system('sleep 30 & sleep 30 & :') #"
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        for warm in (False, True):
            outcome = await sandbox.run(
                command(world, f"{code} {warm} {namespaces}", warm=warm),
                outputs_to=tmp_path / "out",
                observe=print,
            )
            assert outcome.value == 0, outcome
    finally:
        await sandbox.close()
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    async with asyncio.timeout(30):  # who has just ended is waited for by the event loop
        while [one for one in psutil.Process().children() if is_zombie(one)]:
            await asyncio.sleep(0.05)


def is_zombie(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return False


async def opened_without_namespaces(world: Path, home: Path, *, has_cgroup: bool) -> Sandbox:
    sandbox = await Sandbox.open(
        world / home.name, without_namespaces=True, interpreter=reachable_copy(world)
    )
    if not has_cgroup:
        sandbox.launcher.leaves.hierarchy = None
    return sandbox


def command(world: Path, code: str, *, warm: bool) -> Command:
    bundle = world / f"bundle-{abs(hash(code))}"
    bundle.mkdir()
    (bundle / "extract.py").write_text(textwrap.dedent(code))
    return Command(
        target="extract:extract",
        handle="job",
        interpreter=reachable_copy(world),
        limits=Limits(),
        folders=(Folder(name="bundle", source=bundle, on_path=True),),
        least=Level.PROCESS,
        warmth=Warmth(key=bundle.name, preload=("extract",)) if warm else None,
    )


def survivors(mark: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words and b"import time; time.sleep(30)" in words:
            found.append(int(path.parent.name))
    return found


def left_after_a_second(mark: str) -> list[int]:
    deadline = time.monotonic() + 1
    while survivors(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    left = survivors(mark)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left


async def work(world: Path, mark: str, *, warm: bool, namespaces: bool) -> None:
    """Be a worker whose one run waits, beside a process that it has sent astray."""
    code = f"""
import time
def extract(*, job, **_):
    linger({mark!r})
    time.sleep(0.1)
    print("running", flush=True)
    time.sleep(30)
"""
    sandbox = await Sandbox.open(
        world / mark, without_namespaces=not namespaces, interpreter=reachable_copy(world)
    )
    sandbox.launcher.leaves.hierarchy = None
    await sandbox.run(
        command(world, LINGER + code, warm=warm),
        outputs_to=world / f"{mark}-outputs",
        observe=lambda report: print(report.data["line"], flush=True),
    )


if __name__ == "__main__":
    asyncio.run(
        work(Path(sys.argv[1]), sys.argv[2], warm=sys.argv[3] == "1", namespaces=sys.argv[4] == "1")
    )
