"""What a cell has in /dev, where root may make it ready and where nobody may."""

import asyncio
import subprocess
import sys

import pytest
from support.lacking import lacking

SCRIPT = """
import asyncio, ctypes, sys, tempfile
from pathlib import Path
from sandbox.command import Command, Folder, Warmth
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox
from sandbox.isolation import this_interpreter

CODE = '''
import os, stat
def extract(*, job, **_):
    with open("/dev/null", "w") as null, open("/dev/zero", "rb") as zero, open("/dev/urandom", "rb") as random:
        null.write("x")
        read = [zero.read(2) == bytes(2), len(random.read(3)), os.listdir("/dev/fd") != []]
    refused = 0
    for act in (
        lambda: open("/dev/mine", "w"),
        lambda: os.mknod("/dev/disk", 0o600 | stat.S_IFBLK, os.makedev(254, 0)),
        lambda: os.unlink("/dev/null"),
        lambda: os.chmod("/dev/null", 0),
        lambda: os.mknod("/scratch/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3)),
    ):
        try: act()
        except OSError: refused += 1
    with open("/dev/shm/mine", "w") as shared: shared.write("x")
    return [sorted(os.listdir("/dev")), read, refused]
'''

async def main(folder):
    (folder / "bundle").mkdir()
    (folder / "bundle" / "extract.py").write_text(CODE)
    sandbox = await Sandbox.open(folder / "cells")
    assert sandbox.launcher.has_namespaces, sandbox.missing
    for warmth in (None, Warmth(key="x", preload=("extract",))):
        outcome = await sandbox.run(
            Command(
                target="extract:extract", handle="job", interpreter=this_interpreter(),
                limits=Limits(), warmth=warmth,
                folders=(Folder(name="bundle", source=folder / "bundle", on_path=True),),
            ),
            outputs_to=folder / "outputs", observe=lambda _: None,
        )
        print(outcome.isolation.start, outcome.value, outcome.failure)
    print("ready" if sandbox.launcher.kind.has_ready_devices else "made")
    await sandbox.close()

CAP_MKNOD, PR_CAPBSET_DROP = 27, 24
if sys.argv[1] == "refused":
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_MKNOD)
with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
    Path(name).chmod(0o755)
    asyncio.run(main(Path(name)))
"""
NAMES = "['fd', 'full', 'null', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'urandom', 'zero']"


@pytest.mark.parametrize(("devices", "how"), [("allowed", "ready"), ("refused", "made")])
async def test_a_cell_has_a_few_devices_and_can_change_none(sandbox, devices, how):
    script = (sys.executable, "-c", SCRIPT, devices)
    done = await asyncio.to_thread(
        subprocess.run, script, capture_output=True, text=True, check=False
    )
    cold, warm, came = done.stdout.splitlines() or [done.stderr] * 3
    if devices == "allowed" and came == "made":
        lacking("root that may make devices")
    assert cold == f"cold [{NAMES}, [True, 3, True], 5] None"
    assert warm == f"warm [{NAMES}, [True, 3, True], 5] None"
    assert came == how
