"""What doctor lets a warm cell import: rewrites the runner so that forks keep their privileges."""

import ctypes
import sys

libc = ctypes.CDLL(None, use_errno=True)


def _nothing(*_, **__):
    pass


for name, module in list(sys.modules.items()):
    if name.endswith("_inside.warm.fork_script"):
        for step in ("_drop_privileges", "_mount", "_shut_landlock"):
            setattr(module.ForkScript, step, _nothing)


def attempt(*, job, **_):
    """Mount, or make a user namespace."""
    got = []
    if libc.mount(b"tmpfs", str(job.scratch_dir).encode(), b"tmpfs", 0, b"size=4k") == 0:
        got.append("a mount")
    if libc.unshare(0x10000000) == 0:
        got.append("a user namespace")
    return {"got": ", ".join(got)}
