"""The log of an activation: what it said and when, as far as there is room."""

import json

from runtime.artifact.reports import event_of
from runtime.values.clock import Clock
from runtime.values.records import JsonObject
from sandbox.command import Report
from wheelhouse.times import rfc3339

MOST_LINES = 2000
MOST_BYTES = 256 * 1024


class ActivationLog:
    """Keeps what an activation says, with the time, as far as there is room; counts the rest."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: list[JsonObject] = []
        self._bytes_left = MOST_BYTES
        self._dropped = 0

    def observe(self, report: Report) -> None:
        """Keep one report: an `Observe` for packages and sandbox."""
        event, data = event_of(report)
        self._bytes_left -= len(json.dumps(dict(data)))
        if len(self._kept) < MOST_LINES and self._bytes_left >= 0:
            self._kept.append(self._line(event, data))
        else:
            self._dropped += 1

    @property
    def lines(self) -> list[JsonObject]:
        """Return what was kept, and as the last line how much was not."""
        if not self._dropped:
            return self._kept
        message = f"{self._dropped} more lines were not kept"
        data = {"stream": "log", "level": "warning", "message": message}
        return [*self._kept, self._line("job.log", data)]

    def _line(self, event: str, data: JsonObject) -> JsonObject:
        return {"at": rfc3339(self._clock()), "event": event, "data": dict(data)}
