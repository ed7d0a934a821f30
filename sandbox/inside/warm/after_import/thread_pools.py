"""How many threads what is imported believes that its runs have, and which it starts too early.

Libraries ask at their import how many processors they have (numba), so an import has as many as a
run. OpenBLAS (NumPy, SciPy) starts its threads as it is loaded, with which a version could not be
warm: it is told of one while the package imports, and of as many as there are in each fork.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_VARIABLE = "OPENBLAS_NUM_THREADS"
_SETTERS = (
    "openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "scipy_openblas_set_num_threads64_",
)


class Pools:
    """The pools of the libraries that an import loads, empty until a fork wants them."""

    def __init__(self, processors: int) -> None:
        self._processors = processors
        self._before: set[int] = set()
        self._wanted = 1
        self._setters: list[Callable[[int], Any]] = []

    def hold_back(self) -> None:
        """Let what is loaded from now on see as many processors as a run, and start no threads."""
        self._before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(self._before)[: self._processors])
        told = os.environ.get(_VARIABLE, "")
        if told.isdigit() and int(told) > 1:
            self._wanted = int(told)
            os.environ[_VARIABLE] = "1"

    def find(self) -> None:
        """Find the libraries that were held back; have all processors again, as forks are bound."""
        os.sched_setaffinity(0, self._before)
        if self._wanted == 1:
            return
        os.environ[_VARIABLE] = str(self._wanted)
        ctypes: Any = __import__("ctypes")  # 3 ms that one processor does not need
        for path in _loaded(ctypes):
            if b"openblas" in path.rpartition(b"/")[2]:
                library = ctypes.CDLL(os.fsdecode(path))
                found = (getattr(library, name, None) for name in _SETTERS)
                self._setters += [setter for setter in found if setter is not None]

    def fill(self) -> None:
        """Let each start its threads, in a fork."""
        for setter in self._setters:
            setter(self._wanted)


def _loaded(ctypes: Any) -> list[bytes]:
    """Return the paths of all libraries that are loaded (dl_iterate_phdr(3)).

    /proc is in nobody's sight where there are no namespaces.
    """
    found: list[bytes] = []
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_void_p
    )

    def take(loaded: Any, _size: int, _data: int) -> int:
        """Take the second word of a struct dl_phdr_info, which is a name."""
        found.append(ctypes.string_at(loaded[1]) if loaded[1] else b"")
        return 0

    ctypes.CDLL(None).dl_iterate_phdr(kind(take), None)
    return found
