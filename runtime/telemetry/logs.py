"""The log of a process of ours: text for people, or JSON lines; no secrets, bounded per cause.

Everything that is logged here goes this way, that of uvicorn, Docket and of warnings too. The
process has one log, and only who starts the process calls `write_logs`.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import TextIO

from frozen.values import frozen
from runtime.faults.outages import OncePerCause
from runtime.settings.settings import Settings
from runtime.telemetry.log_bounds import Causes
from runtime.telemetry.redaction import Redaction, redaction_of

TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
JSON_LINES = "runtime.telemetry.json_lines"
"""Imported where JSON was asked for: structlog is 0.1 s of a start."""
LEFT_OUT = "left_out"

log = logging.getLogger("fumehood.log")


@frozen
class Cause:
    """What lines of a log have in common: where they come from, and what was raised there."""

    logger: str
    level: int
    file: str
    line: int
    raised: str


def cause_of(record: logging.LogRecord) -> Cause:
    """Return the cause of a line."""
    kind = record.exc_info[0] if record.exc_info else None
    return Cause(
        logger=record.name,
        level=record.levelno,
        file=record.pathname,
        line=record.lineno,
        raised=kind.__qualname__ if kind else "",
    )


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes lines, each cause so often; what was left out is told when its minute is over."""

    def __init__(
        self, stream: TextIO, *, most: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream)
        self._causes = Causes(most=most)
        self._monotonic = monotonic

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless its cause was heard too often."""
        at = self._monotonic()
        left_out = self._causes.listen(cause_of(record), at=at)
        for cause, number in self._causes.over(at=at):
            super().emit(_summary(cause, number))
        if left_out is not None:
            setattr(record, LEFT_OUT, left_out)
            super().emit(record)


def _summary(cause: object, number: int) -> logging.LogRecord:
    """Return the line that tells of lines that were left out, and that nothing came after."""
    if not isinstance(cause, Cause):
        raise TypeError(cause)
    message = "%d more lines of one cause were left out (%s)"
    args = (number, cause.raised or f"line {cause.line}")
    record = logging.LogRecord(
        cause.logger, cause.level, cause.file, cause.line, message, args, None
    )
    vars(record).update({LEFT_OUT: number, "is_summary": True})
    return record


class TextLines(logging.Formatter):
    """Lines for people, without secrets."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__(TEXT)
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text, with its traceback below."""
        said = self._redaction.text(super().format(record))
        left_out = getattr(record, LEFT_OUT, 0)
        if not left_out or getattr(record, "is_summary", False):
            return said
        return f"{said}\n({left_out} more like this were left out before)"


def write_logs(settings: Settings) -> None:
    """Write what is logged to stderr as these settings say; the last call counts."""
    telemetry = settings.telemetry
    handler = BoundedHandler(sys.stderr, most=telemetry.log_most)
    handler.addFilter(OncePerCause())
    redaction = redaction_of(settings, environ=os.environ)
    if telemetry.log_format == "json":
        handler.setFormatter(import_module(JSON_LINES).json_lines(redaction))
        _take_what_is_not_logged()
    else:
        handler.setFormatter(TextLines(redaction))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("fumehood").setLevel(telemetry.log_level.upper())


def _take_what_is_not_logged() -> None:
    """Log warnings, and what ends a thread: either would be written as text between the lines."""
    logging.captureWarnings(True)

    def ended(what: threading.ExceptHookArgs) -> None:
        name = what.thread.name if what.thread else "a thread"
        raised = (what.exc_type, what.exc_value or what.exc_type(), what.exc_traceback)
        log.error("%s ended by an exception", name, exc_info=raised)

    threading.excepthook = ended
