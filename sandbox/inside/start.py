"""First code in a cell: `python -I -S -B start.py FD MODE`, MODE one of cold, kept, warm."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Keep the standard streams and the channel, close all else, and go where MODE says."""
    fd, mode = int(sys.argv[1]), sys.argv[2]
    os.closerange(3, fd)
    os.closerange(fd + 1, 65536)
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, os.path.dirname(here))
    package = os.path.basename(here)
    module = __import__(package + "." + mode, fromlist=["main"])
    del sys.path[0]
    module.main(fd)


main()
