"""Other sandboxes, where they start on this machine: shown by the bench, without a goal.

nsjail and isolate are used if they are installed; sandlock is installed from the registry into
a folder of its own, if that is within reach.
"""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from uv import find_uv_bin

from sandbox.isolation import this_interpreter

type Act = Callable[[], Awaitable[None]]

SANDLOCK = """
import sys
import sandlock
python, prefix = sys.argv[1:]
seen = ["/usr", "/lib", "/lib64", "/etc", "/dev", "/proc", prefix]
for _ in sys.stdin:
    done = sandlock.Sandbox(fs_readable=seen, clean_env=True).run([python, "-I", "-c", "pass"])
    print("ok" if done.success else done.error or "failed", flush=True)
"""


async def installed(stack: AsyncExitStack, folder: Path) -> dict[str, Act]:
    """Return what each neighbour does to run `python -I -c pass`, if it does so here."""
    python = [str(this_interpreter().executable), "-I", "-c", "pass"]
    acts: dict[str, Act] = {}
    for name, argv in {
        "nsjail": ["nsjail", "-Mo", "-Q", "--chroot", "/", "--", *python],
        "isolate": ["isolate", "--run", "--", *python],
    }.items():
        if shutil.which(argv[0]) is not None:
            acts[name] = _program(argv)
    venv = await asyncio.to_thread(_install_sandlock, folder)
    if venv is not None:
        acts["sandlock"] = await stack.enter_async_context(_sandlock(venv))
    return {name: act for name, act in acts.items() if await _works(act)}


def _program(argv: list[str]) -> Act:
    async def act() -> None:
        done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, check=False)
        if done.returncode != 0:
            raise OSError(done.stderr.decode(errors="replace"))

    return act


def _install_sandlock(folder: Path) -> Path | None:
    uv, root = find_uv_bin(), folder / "sandlock"
    for command in (
        [uv, "venv", "-q", "--python", str(this_interpreter().executable), root],
        [uv, "pip", "install", "-q", "--python", root / "bin/python", "sandlock"],
    ):
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return None
    return root / "bin/python"


@asynccontextmanager
async def _sandlock(python: Path):
    """Keep a process that has imported sandlock and runs one sandbox for each line."""
    interpreter = this_interpreter()
    process = await asyncio.create_subprocess_exec(
        *(python, "-I", "-c", SANDLOCK, interpreter.executable, interpreter.prefix),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None  # asked for
    send, said = process.stdin, process.stdout

    async def act() -> None:
        send.write(b"run\n")
        answer = await said.readline()
        if answer != b"ok\n":
            raise OSError(answer.decode() or "sandlock ended")

    try:
        yield act
    finally:
        send.close()
        await process.wait()


async def _works(act: Act) -> bool:
    try:
        await act()
    except OSError as fault:
        print(f"not shown: {fault}", file=sys.stderr)
        return False
    return True
