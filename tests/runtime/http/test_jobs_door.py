"""Jobs over HTTP: from the order to the artifact, followed live, cancelled, tried again."""

import hashlib
import json
import subprocess

import httpx2
import pytest

from ..conftest import Server, zipped

INPUTS = {"one.txt": b"the quick brown fox", "two.txt": b"jumps"}


def test_a_job_goes_from_the_order_to_its_artifact(counting: Server) -> None:
    answer = counting.submit("counts-words", files=INPUTS, who="ana")
    assert answer.status_code == 202
    job = counting.ended(answer.json()["id"])
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["state"] == "succeeded", job
    assert [one["state"] for one in job["attempts"]] == ["succeeded"]

    outputs = counting.http.get(f"/v1/jobs/{job['id']}/outputs").json()["items"]
    assert [one["path"] for one in outputs] == ["tables/counts.json"]
    fetched = counting.http.get(f"/v1/jobs/{job['id']}/outputs/tables/counts.json")
    assert json.loads(fetched.content) == {"one.txt": 4, "two.txt": 1}
    assert outputs[0]["sha256"] == "sha256:" + hashlib.sha256(fetched.content).hexdigest()

    artifact = counting.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert artifact["state"] == "succeeded"
    assert artifact["package"]["name"] == "counts-words"
    assert [one["role"] for one in artifact["callables"]] == ["extract", "on_after_extract"]
    assert [one["name"] for one in artifact["inputs"]] == ["one.txt", "two.txt"]
    assert artifact["outputs"][0]["sha256"] == outputs[0]["sha256"]
    assert artifact["isolation"]["level"] and artifact["isolation"]["layers"]
    assert artifact["usage"]["wall_ms"] > 0
    assert {"environment", "extract"} <= {one["phase"] for one in artifact["timeline"]}
    assert artifact["notes"] == ["asked by ana", "hook saw succeeded"]
    assert artifact["environment"]["installed"] == []


def test_events_are_numbered_lines_and_tell_the_story(counting: Server) -> None:
    job = counting.ended(counting.submit("counts-words", files=INPUTS).json()["id"])
    events = counting.events(job["id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert list(events[0]) == ["seq", "at", "job", "attempt", "event", "data"]
    names = [event["event"] for event in events]
    assert names[0] == "job.queued" and names[-1] == "job.finished"
    assert {"job.started", "job.phase", "job.log", "job.progress", "job.event"} <= set(names)
    assert [event["data"]["line"] for event in events if event["event"] == "job.log"] == [
        "read one.txt",
        "read two.txt",
        "after succeeded",
    ]


def frames(response: httpx2.Response) -> list[dict[str, str]]:
    found: list[dict[str, str]] = [{}]
    for line in response.iter_lines():
        if line == "":
            found.append({})
        elif not line.startswith(":"):
            key, _, value = line.partition(": ")
            found[-1][key] = value
    return [one for one in found if "id" in one]


def test_a_live_stream_ends_with_the_job_and_resumes_where_it_was_left(counting: Server) -> None:
    job_id = counting.submit("counts-words", files=INPUTS).json()["id"]
    path = f"/v1/jobs/{job_id}/events"
    headers = {"Accept": "text/event-stream"}
    with counting.http.stream("GET", path, headers=headers) as live:
        told = frames(live)
    stored = counting.events(job_id)
    assert [json.loads(one["data"]) for one in told] == stored
    assert (told[-1]["event"], told[-1]["id"]) == ("job.finished", str(len(stored)))

    resumed = headers | {"Last-Event-ID": "3"}
    with counting.http.stream("GET", path, headers=resumed) as rest:
        assert [one["id"] for one in frames(rest)] == [one["id"] for one in told[3:]]
    with counting.http.stream("GET", path, params={"follow": "true", "after": 3}) as lines:
        assert [json.loads(line)["seq"] for line in lines.iter_lines()] == list(
            range(4, len(stored) + 1)
        )


def test_outputs_come_in_ranges_and_only_when_they_are_not_there_yet(counting: Server) -> None:
    job = counting.ended(counting.submit("counts-words", files=INPUTS).json()["id"])
    path = f"/v1/jobs/{job['id']}/outputs/tables/counts.json"
    whole = counting.http.get(path)
    for one in (path, f"/v1/jobs/{job['id']}/artifact", f"/v1/jobs/{job['id']}/events"):
        sent = counting.http.get(one).headers
        assert sent["content-disposition"].startswith("attachment"), one
        assert sent["content-security-policy"] == "sandbox; default-src 'none'", one
        assert sent["x-content-type-options"] == "nosniff", one
    assert whole.headers["repr-digest"].startswith("sha-256=:")
    same = counting.http.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    for asked, expected in (
        ("0-3", whole.content[:4]),
        ("5-", whole.content[5:]),
        ("-2", whole.content[-2:]),
    ):
        part = counting.http.get(path, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, expected)
    beyond = counting.http.get(path, headers={"Range": "bytes=9999-"})
    assert beyond.status_code == 416
    tag = whole.headers["etag"]
    for condition, status in ((tag, 206), ('"other"', 200), (f"W/{tag}", 200)):
        headers = {"Range": "bytes=0-3", "If-Range": condition}
        assert counting.http.get(path, headers=headers).status_code == status, condition
    absent = counting.http.get(f"/v1/jobs/{job['id']}/outputs/../artifact.json")
    assert absent.status_code == 404


def test_a_running_job_is_cancelled_and_keeps_what_it_had(server: Server) -> None:
    server.activate(zipped("extract-hangs"))
    job_id = server.submit("extract-hangs").json()["id"]
    wait_for_line(server, job_id, "hanging")
    asked = server.http.post(f"/v1/jobs/{job_id}/cancel")
    assert asked.status_code == 202
    job = server.ended(job_id)
    assert job["state"] == "cancelled"
    again = server.http.post(f"/v1/jobs/{job_id}/cancel")
    assert again.status_code == 200
    assert job["attempts"][0]["is_partial"]
    outputs = server.http.get(f"/v1/jobs/{job_id}/outputs").json()["items"]
    assert [one["path"] for one in outputs] == ["begun.txt"]


def wait_for_line(server: Server, job_id: str, text: str) -> None:
    with server.http.stream("GET", f"/v1/jobs/{job_id}/events?follow=true") as lines:
        for line in lines.iter_lines():
            if json.loads(line)["data"].get("line") == text:
                return
    raise AssertionError(f"{job_id} never said {text}")


def test_a_finished_job_cannot_be_cancelled_but_tried_again(counting: Server) -> None:
    job = counting.ended(counting.submit("counts-words").json()["id"])
    refused = counting.http.post(f"/v1/jobs/{job['id']}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "state-conflict")
    again = counting.http.post(f"/v1/jobs/{job['id']}/retry")
    assert again.status_code == 202
    ended = counting.ended(job["id"])
    assert [one["state"] for one in ended["attempts"]] == ["succeeded", "succeeded"]
    first = counting.http.get(f"/v1/jobs/{job['id']}/artifact", params={"attempt": 1}).json()
    second = counting.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert (first["attempt"], second["attempt"]) == (1, 2)


def test_lists_are_paged_by_cursor_and_linked(counting: Server) -> None:
    made = [counting.submit("counts-words").json()["id"] for _ in range(5)]
    for job_id in made:
        counting.ended(job_id)
    seen: list[str] = []
    page = counting.http.get("/v1/jobs", params={"limit": 2, "package": "counts-words"})
    while True:
        seen += [one["id"] for one in page.json()["items"]]
        if page.json()["next_cursor"] is None:
            break
        page = counting.http.get(page.links["next"]["url"])
    assert seen == sorted(seen, reverse=True)
    assert set(made) <= set(seen)
    # Other tests of this appliance may have left jobs that are about to end.
    counting.until("/v1/jobs?state=running&package=counts-words", lambda page: not page["items"])


@pytest.mark.parametrize(
    ("order", "status", "code"),
    [
        ({"package": "nobody"}, 404, "not-found"),
        ({"package": "counts-words", "colour": "red"}, 422, "input-refused"),
        ({}, 422, "input-refused"),
        ({"package": "counts-words", "parameters": []}, 422, "input-refused"),
    ],
)
def test_an_order_that_will_not_do_is_refused(
    counting: Server, order: dict[str, object], status: int, code: str
) -> None:
    refused = counting.http.post("/v1/jobs", json=order)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


@pytest.mark.parametrize("name", ["../up.txt", "a/b.txt", "..", "tab\there.txt"])
def test_an_input_name_that_no_file_can_have_is_refused(counting: Server, name: str) -> None:
    boundary = "x" * 20
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="job"\r\n\r\n'
        f'{{"package": "counts-words"}}\r\n--{boundary}\r\n'
        f'Content-Disposition: form-data; name="input"; filename="{name}"\r\n\r\nx\r\n'
        f"--{boundary}--\r\n"
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    refused = counting.http.post("/v1/jobs", content=body.encode(), headers=headers)
    assert refused.status_code == 422, refused.text
    assert refused.json()["problems"][0]["code"] == "input-name"


def test_two_inputs_of_one_name_are_refused(counting: Server) -> None:
    files = [("input", ("a.txt", b"1")), ("input", ("a.txt", b"2"))]
    order = json.dumps({"package": "counts-words"})
    refused = counting.http.post("/v1/jobs", data={"job": order}, files=files)
    assert refused.status_code == 422
    assert refused.json()["problems"][0]["code"] == "input-twice"


def test_a_form_that_breaks_off_or_begins_wrongly_is_malformed(counting: Server) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=zzz"}
    for body in (
        b"",
        b"--zzz\r\n",
        b"not a form",
        b'--zzz\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--zzz--\r\n',
    ):
        refused = counting.http.post("/v1/jobs", content=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "malformed"), body


def test_the_command_line_submits_waits_and_fetches(counting: Server, tmp_path) -> None:
    source = tmp_path / "words.txt"
    source.write_text("a b c")
    done: subprocess.CompletedProcess[str] = counting.command(
        "job",
        "submit",
        "counts-words",
        source,
        "-p",
        "who=bo",
        "--wait",
        "-o",
        tmp_path / "out",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "succeeded"
    assert "read words.txt" in done.stderr
    assert json.loads((tmp_path / "out/tables/counts.json").read_text()) == {"words.txt": 3}
