"""Many jobs at once over HTTP and on the command line: submitted by the line, changed in bulk."""

import json
from pathlib import Path

import httpx2

from ..conftest import Server, zipped


def lines(client: httpx2.Client, *orders: object, mode: str = "each") -> httpx2.Response:
    text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in orders)
    headers = {"Content-Type": "application/x-ndjson"}
    return client.post("/v1/submissions", params={"mode": mode}, content=text, headers=headers)


def told(answer: httpx2.Response) -> list[dict[str, object]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


GOOD = {"package": "counts-words", "labels": {"many": "yes"}}


def test_each_line_has_its_own_answer(counting: Server) -> None:
    answers = told(lines(counting.http, GOOD, "{not json", "", {"package": "never-was"}, GOOD))
    assert [(one["line"], one["status"]) for one in answers] == [
        (1, 202),
        (2, 422),
        (4, 404),
        (5, 202),
    ]
    assert answers[0]["job"]["labels"] == {"many": "yes"}
    counting.ended(answers[4 - 1]["job"]["id"])


def test_all_or_none(counting: Server) -> None:
    label = {"package": "counts-words", "labels": {"all": "none"}}
    refused = lines(counting.http, label, {"package": "never-was"}, label, mode="all")
    assert refused.status_code == 422
    assert refused.json()["problems"][0]["where"].startswith("line 2")
    there = counting.http.get("/v1/jobs", params={"label": "all=none"}).json()["items"]
    assert there == []
    taken = told(lines(counting.http, label, label, mode="all"))
    assert [one["status"] for one in taken] == [202, 202]
    for one in taken:
        counting.ended(one["job"]["id"])


def test_too_many_lines_and_lines_of_others_are_refused(counting: Server) -> None:
    many = lines(counting.http, *([GOOD] * 1001))
    assert (many.status_code, many.json()["problems"][0]["code"]) == (422, "number-of-lines")
    assert lines(counting.http).status_code == 422
    with counting.as_(counting.token_for("client", packages=["counts-words"])) as client:
        other = lines(client, {"package": "other"})
        assert told(other)[0]["status"] == 404


def test_the_same_key_on_a_line_is_the_same_job(counting: Server) -> None:
    keyed = {**GOOD, "key": "bulk-key-1"}
    first, second = told(lines(counting.http, keyed, keyed))
    assert first["job"]["id"] == second["job"]["id"]


def failing(server: Server, label: str, *, number: int) -> list[str]:
    server.activate(zipped("extract-raises"))
    order = {"package": "extract-raises", "labels": {"lot": label}}
    made = [one["job"]["id"] for one in told(lines(server.http, *([order] * number)))]
    for job_id in made:
        server.ended(job_id)
    return made


def test_failed_jobs_are_counted_retried_and_deleted_by_one_command_each(server: Server) -> None:
    made = failing(server, "bulk", number=4)
    options = ("--label", "lot=bulk", "--reason", "the disk was full")
    dry = server.command("bulk", "retry", *options, "--dry-run")
    assert dry.stdout.startswith("4 jobs are meant"), dry.stderr
    done = server.command("bulk", "retry", *options, "--wait", "--json")
    told_of = json.loads(done.stdout)
    assert (told_of["state"], told_of["done"], told_of["matched"]) == ("done", 4, 4)
    for job_id in made:
        job = server.until(f"/v1/jobs/{job_id}", lambda job: job["attempt"] == 2)
        assert server.ended(job["id"])["state"] == "failed"
    wrong = server.command("bulk", "delete", *options, "--count", "3")
    assert wrong.returncode == 3 and "4 jobs are meant, and not 3" in wrong.stderr
    gone = server.command("bulk", "delete", *options, "--count", "4", "--wait", "--json")
    assert json.loads(gone.stdout)["done"] == 4, gone.stderr
    for job_id in made:
        assert server.http.get(f"/v1/jobs/{job_id}").status_code == 404
        assert not (server.home / "jobs" / job_id).exists()
    entries = server.http.get("/v1/audit", params={"limit": 50}).json()["items"]
    acts = {one["action"]: one for one in entries}
    assert acts["jobs.delete"]["details"]["reason"] == "the disk was full"
    assert set(made) == set(acts["job.delete"]["details"]["jobs"])
    assert acts["jobs.delete.end"]["details"]["done"] == 4


def test_an_empty_filter_wants_to_be_meant(server: Server) -> None:
    refused = server.command("bulk", "delete", "--reason", "tidy")
    assert refused.returncode == 3 and "the filter is empty" in refused.stderr
    answer = server.http.post("/v1/bulk", json={"act": "cancel", "wanted": {}, "reason": ""})
    assert answer.status_code == 422
    assert {one["code"] for one in answer.json()["problems"]} == {"no-reason", "everything"}


def test_a_client_acts_on_its_own_jobs_only(server: Server) -> None:
    (others,) = failing(server, "of-admin", number=1)
    with server.as_(server.token_for("client")) as client:
        order = {"act": "delete", "wanted": {"labels": ["lot=of-admin"]}, "reason": "x"}
        begun = client.post("/v1/bulk", json=order).json()
        assert begun["matched"] == 0
        with server.as_(server.token_for("client")) as other:
            assert other.get(f"/v1/bulk/{begun['id']}").status_code == 404
            assert other.post(f"/v1/bulk/{begun['id']}/stop").status_code == 404
        assert client.get("/v1/bulk").json()["items"][0]["id"] == begun["id"]
    assert server.http.get(f"/v1/jobs/{others}").status_code == 200


def test_a_file_of_orders_is_one_command(counting: Server, tmp_path: Path) -> None:
    file = tmp_path / "orders.ndjson"
    file.write_text(json.dumps(GOOD) + "\n" + json.dumps({"package": "never-was"}) + "\n")
    done = counting.command("job", "submit-many", file)
    assert done.returncode == 3 and "line 2: There is no package never-was" in done.stderr
    counting.ended(done.stdout.strip())
