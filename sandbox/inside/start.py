"""First code in a cell: `python -I -S -B start.pyc FD MODE`, MODE names a module here."""

from __future__ import annotations

import _imp
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Keep the standard streams and the channel, close all else, and go where MODE says."""
    fd, mode = int(sys.argv[1]), sys.argv[2]
    if fd != 3:  # the number by which a cell and all its forks know their channel
        os.dup2(fd, 3)
    os.closerange(4, 65536)  # what bubblewrap was handed without FD_CLOEXEC would lead out of here
    here = os.path.dirname(os.path.abspath(__file__))
    package = os.path.basename(here)
    make_modules(here, package, mode)
    sys.modules[package + "." + mode].main(3)


def make_modules(here: str, package: str, mode: str) -> None:
    """Make all that MODE imports, as the import system would, which looks for each in folders.

    They were compiled for this interpreter, each after what it imports (compile_inside.py).
    """
    with open(f"{here}/{mode}.made", "rb") as made:
        listed = marshal.loads(made.read())  # noqa: S302 - our own
    for name, place, code in listed:
        full = f"{package}.{name}" if name else package
        parent, _, own = full.rpartition(".")
        module = type(sys)(full)
        module.__file__ = f"{here}/{place}"
        module.__package__ = parent
        if place.endswith("__init__.py"):
            module.__package__ = full
            module.__path__ = [os.path.dirname(module.__file__)]
        _imp._fix_co_filename(code, module.__file__)  # pyright: ignore
        sys.modules[full] = module
        names: dict[str, Any] = module.__dict__
        exec(code, names)  # noqa: S102 - our own
        if parent:
            setattr(sys.modules[parent], own, module)


main()
