"""Jobs and their events as lines of text."""

from collections.abc import Mapping
from typing import Any

from runtime.artifact.traffic_text import connection_text
from runtime.cli.output.printing import facts, table

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


def job_rows(jobs: list[dict[str, Any]]) -> str:
    """Return jobs as a table."""
    rows = [job | {"error": job["error"]["code"] if job["error"] else None} for job in jobs]
    return table(rows, columns=COLUMNS)


def job_facts(job: Mapping[str, Any]) -> str:
    """Return a job's facts, and why it failed if it did."""
    return facts(job, names=FACTS) + error_text(job["error"])


def error_text(error: Mapping[str, Any] | None) -> str:
    """Return why a job failed, to stand below its facts; empty where it did not."""
    if not error:
        return ""
    mend = f"\n  mend: {error['mend']}" if error["mend"] else ""
    return f"\n\n{error['what']} [{error['code']}]{mend}\n{error['traceback']}".rstrip()


def event_line(event: Mapping[str, Any]) -> str:
    """Return an event as one line, empty for those that say nothing to people."""
    data = event["data"]
    time = event["at"][11:19]
    match event["event"]:
        case "job.log":
            text = data.get("line", data.get("message", ""))
            return f"{time} {data.get('stream', ''):<6} {text}"
        case "job.progress":
            total = f" of {data['total']}" if data.get("total") else ""
            return f"{time} {data.get('done', '')}{total} {data.get('message') or ''}".rstrip()
        case "job.event" if data.get("name") == "install":
            return f"{time} {_step(data['data'])}"
        case "job.event":
            return f"{time} event  {data.get('name')} {data.get('data')}"
        case "job.network":
            return f"{time} network {connection_text(data)}"
        case "job.phase":
            took = data.get("duration_ms")
            after = f" ({took:.0f} ms)" if isinstance(took, int | float) else ""
            return f"{time} {data.get('phase')} {data.get('state')}{after}"
        case "job.finished":
            return f"{time} {data.get('state')}"
        case name:
            return f"{time} {name.removeprefix('job.')}"


def _step(data: Mapping[str, Any]) -> str:
    """Return what a step of an install has come to, such as `unpack 1 of 3 wheels demo.whl`."""
    what = f" {data['what']}" if data["what"] else ""
    return f"{data['step']} {data['done']} of {data['total']} {data['unit']}{what}"
