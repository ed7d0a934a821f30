"""Names in a word why a run failed, where neither the class nor the number of its error tells it.

Imported when a run has failed, and only then. Whoever reads the word decides by it, and not by the
text of an error (sandbox/runs/outcomes.py); it is the run's own, and believed as little.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

MODULE, FORK, THREAD = "module", "fork", "thread"
"""As sandbox/protocol.py knows them."""
_FORKS = {"fork", "forkpty", "fork_exec", "_fork_exec", "posix_spawn", "posix_spawnp"}
"""What the standard library and others call to have a process, by the names in their code."""
_NO_THREAD = "can't start new thread"
"""CPython raises a plain RuntimeError for it, of which nothing but the text tells (looked at in
3.12.1; a test has it raised)."""
_NAME_CHARS = 200
_EAGAIN = 11


def cause(fault: BaseException) -> str:
    """Return which of them it is, or nothing."""
    if isinstance(fault, ModuleNotFoundError):
        return MODULE
    if isinstance(fault, OSError) and fault.errno == _EAGAIN:
        return FORK if _origin(fault.__traceback__) & _FORKS else ""
    if type(fault) is RuntimeError and str(fault).startswith(_NO_THREAD):
        return THREAD
    return ""


def missing(fault: BaseException) -> str:
    """Return the module that is not there, as the import system names it (ImportError.name)."""
    name = fault.name if isinstance(fault, ModuleNotFoundError) else None
    return name[:_NAME_CHARS] if isinstance(name, str) else ""


def _origin(tb: TracebackType | None) -> set[str]:
    """Return the names that the function uses in which the error was raised."""
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return set() if tb is None else set(tb.tb_frame.f_code.co_names)
