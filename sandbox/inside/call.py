"""Loads the target, calls it, and says how that went, as one `done` message."""

from __future__ import annotations

import os
import sys

from . import handle
from .channel import Channel, encoded_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from types import ModuleType, TracebackType
    from typing import Any
else:
    import _signal  # built in; signal brings enum along

_TRACEBACK_CHARS = 16_000


class Terminated(BaseException):
    """SIGTERM from outside: the run may clean up, then it is killed."""


def perform(channel: Channel, request: dict[str, Any]) -> dict[str, Any]:
    """Run the requested call and return the `done` message."""
    _signal.signal(_signal.SIGTERM, _terminator(os.getpid()))
    try:
        function = load(request["target"])
    except BaseException as fault:
        return _fault(fault, "unloadable")
    try:
        value = function(
            **{request["handle"]: handle.Handle(request, channel.send)}, **request["arguments"]
        )
    except BaseException as fault:
        return _fault(fault, "raised")
    return _returned(value, request["result_bytes"])


def import_module(name: str) -> ModuleType:
    """Import `name` from the bundle if it is there, wherever else the name may exist.

    A folder without __init__.py, such as hooks/, loses to any installed package of the same
    name (PEP 420), so the bundle's own folders are pinned first.
    """
    parts = name.split(".")
    for end in range(1, len(parts)):
        _pin(".".join(parts[:end]), os.path.join(sys.path[0], *parts[:end]))
    __import__(name)
    return sys.modules[name]


def _pin(package: str, folder: str) -> None:
    if package in sys.modules or not os.path.isdir(folder):
        return
    if not os.path.exists(os.path.join(folder, "__init__.py")):
        module = type(sys)(package)
        module.__path__ = [folder]
        sys.modules[package] = module


def load(target: str) -> Callable[..., Any]:
    """Return the function that `module:function` names."""
    module_name, _, function_name = target.partition(":")
    function = getattr(import_module(module_name), function_name)
    if not callable(function):
        raise TypeError("%s is not callable" % (target,))
    return function


def _terminator(run: int) -> Callable[[int, object], None]:
    """Return what lets the process `run` clean up at SIGTERM, and ends those that it has forked.

    They have its handler and its frames, through which one would come to speak for the run.
    """

    def terminate(number: int, _frame: object) -> None:
        if os.getpid() == run:
            raise Terminated
        _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)

    return terminate


def _returned(value: Any, result_bytes: int) -> dict[str, Any]:
    try:
        size = encoded_size(value)
    except (TypeError, ValueError, RecursionError) as fault:
        return {
            "kind": "done",
            "ending": "raised",
            "code": "result-not-json",
            "what": "the returned value cannot be written as JSON: %s" % (fault,),
        }
    if size > result_bytes:
        return {
            "kind": "done",
            "ending": "raised",
            "code": "result-too-large",
            "what": "the returned value takes %d bytes of JSON" % (size,),
            "reached": size,
        }
    return {"kind": "done", "ending": "returned", "value": value}


def _fault(fault: BaseException, ending: str) -> dict[str, Any]:
    if isinstance(fault, handle.Asked):
        return {"kind": "done", "ending": "asked", "question": fault.question}
    if isinstance(fault, Terminated):
        return {"kind": "done", "ending": "cancelled"}
    if isinstance(fault, SystemExit):
        return {"kind": "done", "ending": "exited", "exit_code": _exit_code(fault)}
    return {
        "kind": "done",
        "ending": ending,
        "code": "exception",
        "what": _one_line(fault),
        "traceback": _traceback(fault),
        "errno": fault.errno if isinstance(fault, OSError) else None,
        "errno_path": str(getattr(fault, "filename", None) or ""),
        "is_memory": isinstance(fault, MemoryError),
    }


def _exit_code(fault: SystemExit) -> int:
    code = fault.code
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1


def _one_line(fault: BaseException) -> str:
    try:
        text = "%s: %s" % (type(fault).__name__, fault)
    except BaseException:
        text = type(fault).__name__
    return text[:2000]


def _traceback(fault: BaseException) -> str:
    try:
        format_exception = __import__("traceback").format_exception  # 5 ms that few runs need
        lines = format_exception(type(fault), fault, _without_runner(fault.__traceback__))
        return "".join(lines)[-_TRACEBACK_CHARS:]
    except BaseException:
        return ""


def _without_runner(tb: TracebackType | None) -> TracebackType | None:
    """Leave out the runner's own frames, which tell the author nothing."""
    while tb is not None and tb.tb_next is not None and _is_ours(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return tb


def _is_ours(filename: str) -> bool:
    return os.path.dirname(__file__) in filename or filename.startswith("<frozen importlib")


def flush_streams() -> None:
    """Flush what package code printed; a closed or replaced stream is no fault of ours."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: S112 – whatever replaced it may raise anything
            continue
