"""Jobs and their events as lines of text."""

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.artifact.traffic_text import connection_text
from runtime.cli.output.printing import as_text, facts, table

COLUMNS = ("id", "state", "package", "version", "attempt", "submitted_at", "error")
FACTS = (
    "id",
    "state",
    "package",
    "version",
    "attempt",
    "submitted_at",
    "started_at",
    "finished_at",
)

_BELOW = len("12:34:56 stdout ")
"""Where the text of a line of the log begins."""


def job_rows(jobs: Sequence[Mapping[str, Any]]) -> str:
    """Return jobs as a table."""
    rows = [{**job, "error": job["error"]["code"] if job["error"] else None} for job in jobs]
    return table(rows, columns=COLUMNS)


def job_facts(job: Mapping[str, Any]) -> str:
    """Return a job's facts, and why it failed if it did."""
    told = {"progress": _progress(job["progress"]), "start": start_text(job)}
    if job.get("result") is not None:
        told["result"] = as_text(job["result"])
    shown = {name: text for name, text in told.items() if text}
    return facts({**job, **shown}, names=(*FACTS, *shown)) + error_text(job["error"])


def with_artifact(job: Mapping[str, Any], artifact: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job with what people ask of its artifact first: the result, and how it started."""
    isolation = artifact["isolation"] or {"start": None, "start_reason": ""}
    started = {name: isolation[name] for name in ("start", "start_reason")}
    return {**job, "result": artifact["result"], **started}


def start_text(started: Mapping[str, Any]) -> str:
    """Return how a run started, such as `warm` or `cold: the import left a thread`."""
    reason = started.get("start_reason")
    return f"{started['start']}: {reason}" if reason else started.get("start") or ""


def _progress(progress: Mapping[str, Any] | None) -> str:
    """Return the last progress that was told, such as `3 of 10 page 3`."""
    if not progress:
        return ""
    total = f" of {progress['total']}" if progress.get("total") else ""
    return f"{progress.get('done', '')}{total} {progress.get('message') or ''}".rstrip()


def error_text(error: Mapping[str, Any] | None) -> str:
    """Return why a job failed, to stand below its facts; empty where it did not.

    All but its first line is set in: a package could raise what looks like a line of ours.
    """
    if not error:
        return ""
    mend = f"\nmend: {error['mend']}" if error["mend"] else ""
    text = f"{error['what']} [{error['code']}]{mend}\n{error['traceback']}".rstrip()
    return "\n\n" + text.replace("\n", "\n  ")


def event_line(event: Mapping[str, Any]) -> str:
    """Return an event as one line, empty for those that say nothing to people.

    What a package says in several lines has all but the first below it: none stands where ours do.
    """
    return _event_text(event).replace("\n", "\n" + " " * _BELOW)


def _event_text(event: Mapping[str, Any]) -> str:
    data = event["data"]
    time = event["at"][11:19]
    match event["event"]:
        case "job.log":
            text = data.get("line", data.get("message", ""))
            return f"{time} {data.get('stream', ''):<6} {text}"
        case "job.progress":
            return f"{time} {_progress(data)}"
        case "job.event" if data.get("name") == "install":
            return f"{time} {_step(data['data'])}"
        case "job.event":
            return f"{time} event  {data.get('name')} {data.get('data')}"
        case "job.network":
            return f"{time} network {connection_text(data)}"
        case "job.phase":
            took = data.get("duration_ms")
            after = f" ({took:.0f} ms)" if isinstance(took, int | float) else ""
            started = f", started {start_text(data)}" if data.get("start") else ""
            return f"{time} {data.get('phase')} {data.get('state')}{after}{started}"
        case "job.asked":
            return f"{time} asks for {data.get('key')}: {data.get('prompt')}"
        case "job.answered":
            return f"{time} {data.get('key')} answered by {data.get('by')}"
        case "job.finished":
            return f"{time} {data.get('state')}"
        case name:
            return f"{time} {name.removeprefix('job.')}"


def _step(data: Mapping[str, Any]) -> str:
    """Return what a step of an install has come to, such as `unpack 1 of 3 wheels demo.whl`."""
    what = f" {data['what']}" if data["what"] else ""
    return f"{data['step']} {data['done']} of {data['total']} {data['unit']}{what}"
