"""First code in a cell: `python -I -S -B start.py FD MODE`, MODE names a module here."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Keep the standard streams and the channel, close all else, and go where MODE says."""
    fd, mode = int(sys.argv[1]), sys.argv[2]
    if fd != 3:  # the number by which a cell and all its forks know their channel
        os.dup2(fd, 3)
    os.closerange(4, 65536)  # what bubblewrap was handed without FD_CLOEXEC would lead out of here
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, os.path.dirname(here))
    package = os.path.basename(here)
    module = __import__(package + "." + mode, fromlist=["main"])
    del sys.path[0]  # the first place is the bundle's (cold.py), and nothing of ours is for it
    module.main(3)


main()
