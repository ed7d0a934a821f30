"""How values are written for people: sizes, durations, times, states."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

from runtime.artifact.traffic_text import traffic_text
from runtime.values.bounds import preview
from runtime.values.states import State
from wheelhouse.times import rfc3339

CODE = re.compile(r"`([^`]+)`")
STATE_ICONS: Mapping[str, str] = {
    State.QUEUED: "clock",
    State.RUNNING: "play",
    State.WAITING: "question",
    State.SUCCEEDED: "check",
    State.FAILED: "cross",
    State.CANCELLED: "stop",
}


def size(size_bytes: float) -> str:
    """Return a size such as 1.4 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024 or unit == "GiB":
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    raise AssertionError("the loop returns at the last unit")


def duration(milliseconds: float | None) -> str:
    """Return a duration such as 340 ms, 2.4 s or 3 min 5 s; a dash for none."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def elapsed(start: datetime | None, end: datetime | None) -> str:
    """Return the time between two points; a dash when one is unknown."""
    if start is None or end is None:
        return "–"
    return duration((end - start).total_seconds() * 1000)


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago `at` was, roughly."""
    seconds = max(0, (now - at).total_seconds())
    if seconds < 10:
        return "just now"
    for limit, step, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            return f"{seconds // step:.0f} {unit} ago"
    return f"{seconds // 86_400:.0f} d ago"


def clock_time(at: datetime) -> str:
    """Return the time of day in UTC, such as 14:20:05."""
    return f"{at:%H:%M:%S}"


def short_id(text: str) -> str:
    """Return the end of an id, where UUIDv7s of one moment differ."""
    return text[-12:]


def short_digest(digest: str) -> str:
    """Return the beginning of a digest."""
    return digest.removeprefix("sha256:")[:12]


def state_icon(state: State) -> str:
    """Return the name of the icon of a state."""
    return STATE_ICONS[state]


def prose(text: str) -> Markup:
    """Return `text` escaped, with what stands between backticks as code."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped here


def label_texts(labels: tuple[tuple[str, str | None], ...]) -> list[str]:
    """Return labels as people write them: name=value, or a name alone."""
    return [name if value is None else f"{name}={value}" for name, value in labels]


FILTERS: Mapping[str, Callable[..., Any]] = {
    "size": size,
    "duration": duration,
    "elapsed": elapsed,
    "ago": ago,
    "clock_time": clock_time,
    "short_id": short_id,
    "short_digest": short_digest,
    "traffic": traffic_text,
    "rfc3339": rfc3339,
    "prose": prose,
    "state_icon": state_icon,
    "preview": preview,
    "label_texts": label_texts,
}
