"""`fumehood job`: the commands about one job, and the list."""

from runtime.cli.job import app
from runtime.cli.job_answering import answer, prompt
from runtime.cli.job_keeping import delete, pin, unpin
from runtime.cli.job_list import list_jobs
from runtime.cli.job_many import submit_lines

__all__ = ["app"]

app.command("list")(list_jobs)
app.command("prompt")(prompt)
app.command("answer")(answer)
app.command("pin")(pin)
app.command("unpin")(unpin)
app.command("delete")(delete)
app.command("submit-many")(submit_lines)
