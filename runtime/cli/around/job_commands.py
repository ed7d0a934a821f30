"""`fumehood job`: the commands about one job, and the list."""

from runtime.cli.around.answering import answer, prompt
from runtime.cli.around.keeping import delete, pin, unpin
from runtime.cli.around.listing import list_jobs
from runtime.cli.around.many import submit_lines
from runtime.cli.job import app

__all__ = ["app"]

app.command("list")(list_jobs)
app.command("prompt")(prompt)
app.command("answer")(answer)
app.command("pin")(pin)
app.command("unpin")(unpin)
app.command("delete")(delete)
app.command("submit-many")(submit_lines)
