"""Loads the target, calls it, and says how that went, as one `done` message."""

from __future__ import annotations

import os
import sys

from . import handle
from .channel import Channel, TooManyError, encoded_size, framed, refuse_extremes
from .sigterm import Terminated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType
    from typing import Any

_TRACEBACK_CHARS = 16_000
CANCELLED: dict[str, Any] = {"kind": "done", "ending": "cancelled"}
"""What a run says that SIGTERM from outside has ended."""
_TEXT_CHARS = 4_096
_LARGEST_ERRNO = 4_095


def perform(channel: Channel, request: dict[str, Any]) -> dict[str, Any]:
    """Run the requested call and return the `done` message."""
    try:
        function = load(request["target"])
    except BaseException as fault:
        return _told(channel, request, _fault(fault, "unloadable"))
    try:
        report = _reporter(channel, request["report_bytes"])
        offered = handle.Handle(request, report, _judge(request["report_bytes"]))
        value = function(**{request["handle"]: offered}, **request["arguments"])
    except BaseException as fault:
        return _told(channel, request, _fault(fault, "raised"))
    return _returned(value, request["result_bytes"])


def _told(channel: Channel, request: dict[str, Any], done: dict[str, Any]) -> dict[str, Any]:
    """Say in the log as well which host the run wanted, where it was given no network."""
    if done.get("wanted") and not request["network"]:
        text = "the run tried to reach %s; runs have no network" % (done["wanted"],)
        channel.send({"kind": "log", "level": "error", "message": text})
    return done


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


def _reporter(channel: Channel, most_bytes: int) -> Callable[[dict[str, Any]], None]:
    """Return what sends a report: ValueError, where it was made, if it is too large to be read."""

    def report(message: dict[str, Any]) -> None:
        data = message.get("data")
        try:
            frame = framed(message)
            refuse_extremes(data, frame)
        except TooManyError:
            raise
        except (TypeError, ValueError) as fault:
            kind = TypeError if isinstance(fault, TypeError) else ValueError
            raise kind(_placed(data, fault)) from None
        if len(frame) > most_bytes:
            raise ValueError(
                "one %s of %d bytes: write that much to a file in output_dir (at most %d bytes)"
                % (message["kind"], len(frame), most_bytes)
            )
        channel.send_frame(frame)

    return report


def _judge(most_bytes: int) -> Callable[[dict[str, Any]], None]:
    """Return what refuses a question that could not be told, where it was asked."""

    def judge(question: dict[str, Any]) -> None:
        size = encoded_size(question)
        if size > most_bytes // 2:
            raise ValueError("a question of %d bytes (at most %d)" % (size, most_bytes // 2))

    return judge


def _returned(value: Any, result_bytes: int) -> dict[str, Any]:
    try:
        size = encoded_size(value)
    except TooManyError as fault:
        return {
            "kind": "done",
            "ending": "raised",
            "code": "result-too-many",
            "what": "the returned value has %s" % (fault,),
        }
    except (TypeError, ValueError, RecursionError) as fault:
        return {
            "kind": "done",
            "ending": "raised",
            "code": "result-not-json",
            "what": "the returned value cannot be written as JSON: %s" % (_placed(value, fault),),
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


def _placed(value: Any, fault: BaseException) -> str:
    """Return what is wrong with a value, with its place and the mend where they can be told."""
    from .failure import not_json  # noqa: PLC0415 - hardly ever needed

    try:
        return not_json.first_fault(value) or str(fault)
    except BaseException:  # code of a package's that its values bring along
        return str(fault)


def _fault(fault: BaseException, ending: str) -> dict[str, Any]:
    if isinstance(fault, handle.Asked):
        return {"kind": "done", "ending": "asked", "question": fault.question}
    if isinstance(fault, Terminated):
        return CANCELLED
    if isinstance(fault, SystemExit):
        return {"kind": "done", "ending": "exited", "exit_code": _exit_code(fault)}
    return {
        "kind": "done",
        "ending": ending,
        "code": "exception",
        "what": _one_line(fault),
        "traceback": _traceback(fault),
        "errno": _errno(fault),
        "errno_path": _path_of(fault),
        **_clues(fault),
    }


def failure_modules() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Return the modules that look into a failure; a warm cell loads them for all its forks."""
    from .failure import causes, refused, wanted  # noqa: PLC0415 - runs that return do without

    return causes, refused, wanted


def _clues(fault: BaseException) -> dict[str, str]:
    """Return what can be found out about a failure by looking into it."""
    causes, refused, wanted = failure_modules()
    try:
        cause, missing = causes.cause(fault), causes.missing(fault)
    except BaseException:  # whatever package code has made of its exceptions
        cause, missing = "", ""
    return {
        "wanted": wanted.host(fault),
        "wall": refused.wall(fault),
        "cause": cause,
        "missing": missing,
    }


def _errno(fault: BaseException) -> int | None:
    """Return the kernel's number of an OSError: whoever raises one may put anything there."""
    number = fault.errno if isinstance(fault, OSError) else None
    return number if type(number) is int and 0 <= number <= _LARGEST_ERRNO else None


def _path_of(fault: BaseException) -> str:
    try:
        return str(getattr(fault, "filename", None) or "")[:_TEXT_CHARS]
    except BaseException:
        return ""


def _exit_code(fault: SystemExit) -> int:
    """Return the exit code that the interpreter would, and say what it would (SystemExit docs)."""
    code = fault.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write("%s\n" % (code,))
    return 1


def _one_line(fault: BaseException) -> str:
    try:
        said = str(fault)
        text = "%s: %s" % (type(fault).__name__, said) if said else type(fault).__name__
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
