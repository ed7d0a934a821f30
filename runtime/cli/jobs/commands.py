"""`fumehood job`: the commands about one job, and the list."""

from runtime.cli.jobs.answering import answer, prompt
from runtime.cli.jobs.job import app
from runtime.cli.jobs.keeping import delete, pin, unpin
from runtime.cli.jobs.listing import list_jobs
from runtime.cli.jobs.submit_many import submit_lines

__all__ = ["app"]

app.command("list")(list_jobs)
app.command("prompt")(prompt)
app.command("answer")(answer)
app.command("pin")(pin)
app.command("unpin")(unpin)
app.command("delete")(delete)
app.command("submit-many")(submit_lines)
