"""Lines of a log as JSON, each one object on one line, by structlog; imported where asked for."""

import json
import logging
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, cast

import structlog
from structlog.stdlib import ProcessorFormatter

from runtime.telemetry.about import subject_now
from runtime.telemetry.redaction import Redaction

MOST_CHARS = 16_384
"""The longest text of one field: a traceback may quote what a stranger sent."""
OWN = ("_record", "_from_structlog")

type Line = MutableMapping[str, Any]


def json_lines(redaction: Redaction) -> ProcessorFormatter:
    """Return what writes records of `logging` as JSON lines: without secrets, in one order."""

    def without_secrets(_: Any, __: str, line: Line) -> Line:
        return {name: _bounded(value, redaction) for name, value in line.items()}

    return ProcessorFormatter(
        processors=[
            _facts,
            structlog.processors.format_exc_info,
            ProcessorFormatter.remove_processors_meta,
            without_secrets,
            structlog.processors.JSONRenderer(serializer=_dumped),
        ],
    )


def _facts(_: Any, __: str, line: Line) -> Line:
    """Put first when, how grave, what and by whom; then what it is about."""
    record = cast("logging.LogRecord", line["_record"])
    told: Line = {
        "timestamp": _rfc3339(record.created),
        "level": record.levelname.lower(),
        "event": line["event"],
        "logger": record.name,
    }
    if not getattr(record, "is_summary", False):
        told |= subject_now()
    if left_out := getattr(record, "left_out", 0):
        told["left_out"] = left_out
    return told | {name: line[name] for name in (*OWN, "exc_info") if name in line}


def _rfc3339(created: float) -> str:
    at = datetime.fromtimestamp(created, tz=UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _bounded(value: Any, redaction: Redaction) -> Any:
    if not isinstance(value, str):
        return value
    said = redaction.text(value)  # first: a secret that is cut is no longer known
    return said if len(said) <= MOST_CHARS else said[:MOST_CHARS] + " … (cut)"


def _dumped(line: Line, **_: Any) -> str:
    # ASCII only: U+2028 and the like are line breaks to some who read lines.
    return json.dumps(line, default=str)
