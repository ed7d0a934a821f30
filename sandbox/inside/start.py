"""First code in a cell: `python -I -S -B start.py FD MODE`, MODE names a module here."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Keep the standard streams and the channel, close all else, and go where MODE says."""
    fd, mode = int(sys.argv[1]), sys.argv[2]
    if fd != 3:
        os.dup2(fd, 3)
    os.closerange(4, 65536)
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, os.path.dirname(here))
    package = os.path.basename(here)
    module = __import__(package + "." + mode, fromlist=["main"])
    del sys.path[0]
    module.main(3)


main()
