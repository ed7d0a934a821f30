"""`fumehood job`: the commands about one job, and the list."""

from runtime.cli.job import app
from runtime.cli.job_list import list_jobs

__all__ = ["app"]

app.command("list")(list_jobs)
