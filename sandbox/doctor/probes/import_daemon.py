"""What doctor lets a warm cell import: leaves a process behind that would see all runs."""

import os
import time

if __name__ != "__main__" and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(30)
    os._exit(0)


def attempt(*, job, **_):
    """Get hold of nothing: the import is what is tried."""
    return {"got": ""}
