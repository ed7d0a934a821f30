"""`fumehood run`, and waiting with an end: a job as if it were a program."""

import json
from pathlib import Path

from ..conftest import Server, zipped


def test_run_submits_follows_fetches_and_exits_as_the_job_does(
    counting: Server, tmp_path: Path
) -> None:
    text = tmp_path / "a.txt"
    text.write_text("one two three")
    done = counting.command("run", "counts-words", text, "-o", tmp_path / "out", "-l", "by=run")
    assert done.returncode == 0, done.stderr
    assert "read a.txt" in done.stderr and "succeeded" in done.stdout
    assert json.loads((tmp_path / "out/tables/counts.json").read_text()) == {"a.txt": 3}
    counting.activate(zipped("extract-raises"))
    failed = counting.command("run", "extract-raises", "--json")
    assert (failed.returncode, json.loads(failed.stdout)["state"]) == (1, "failed")
    assert counting.command("run", "never-was").returncode == 4
    assert counting.command("run", "@1.0").returncode == 2


def test_waiting_ends_when_the_time_is_over_and_the_job_goes_on(server: Server) -> None:
    server.activate(zipped("extract-hangs"))
    waited = server.command("job", "submit", "extract-hangs", "--wait", "--timeout", "1s")
    assert waited.returncode == 75, waited.stderr
    assert "goes on without us" in waited.stderr
    job_id = waited.stderr.splitlines()[0]
    assert server.http.get(f"/v1/jobs/{job_id}").json()["state"] in {"queued", "running"}
    server.http.post(f"/v1/jobs/{job_id}/cancel")
    server.ended(job_id)
    assert server.command("job", "submit", "extract-hangs", "--timeout", "1s").returncode == 2
