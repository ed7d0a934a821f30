"""Install progress, told through the same observer as everything that a run says."""

from sandbox.command import Observe, Report


def report_progress(
    observe: Observe, step: str, *, done: int, total: int, unit: str, what: str = ""
) -> None:
    """Report that `step` (lock, fetch, unpack, compile, build) has come to `done` of `total`."""
    data = {"step": step, "done": done, "total": total, "unit": unit, "what": what}
    observe(Report(kind="event", data={"name": "install", "data": {**data}}))


def quiet(report: Report) -> None:
    """Observe nothing."""
