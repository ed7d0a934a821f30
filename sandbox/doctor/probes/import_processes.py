"""What doctor lets a warm cell import: reaches for the other processes of its cell."""

import glob
import os

REACHED = []
for path in glob.glob("/proc/[0-9]*/mem"):
    if path.split("/")[2] == str(os.getpid()):
        continue
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError:
        continue
    REACHED.append(path)


def attempt(*, job, **_):
    """Say which processes the import could write to."""
    return {"got": ", ".join(REACHED)}
