"""What a run reports, as the name and data of an event. Pure."""

from runtime.values.records import JsonObject
from sandbox.command import Report


def event_of(report: Report) -> tuple[str, JsonObject]:
    """Return the name and data of the event that says what `report` says."""
    match report.kind:
        case "stdout" | "stderr":
            return "job.log", {"stream": report.kind, "line": report.data.get("line", "")}
        case "log":
            return "job.log", {"stream": "log", **report.data}
        case "progress":
            return "job.progress", report.data
        case "event":
            return "job.event", report.data
        case "network":
            return "job.network", report.data
