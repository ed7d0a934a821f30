"""Stop it, kill it: what was accepted comes to its end, once, and nothing waits for ever."""

import json
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

import pytest

from ..conftest import Server, run_command, running, start_command, zipped

SLOW = {
    "manifest.json": json.dumps({"schema": 1, "name": "slow", "version": "1.0"}),
    "extract.py": (
        "import time\n\n\ndef extract(*, job, **_):\n    print('begun', flush=True)\n"
        "    time.sleep(job.parameters['s'])\n    return 'slept'\n"
    ),
}


def begun(server: Server, job_id: str) -> None:
    with server.http.stream("GET", f"/v1/jobs/{job_id}/events?follow=true") as lines:
        for line in lines.iter_lines():
            if json.loads(line)["data"].get("line") == "begun":
                return
    raise AssertionError(f"{job_id} ended before it began")


def test_sigterm_ends_open_streams_and_lets_running_jobs_finish(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home) as server:
        server.activate(zipped("counts-words", changes=SLOW))
        job_id = server.submit("slow", s=1.5).json()["id"]
        begun(server, job_id)
        path = f"/v1/jobs/{job_id}/events"
        headers = {"Accept": "text/event-stream"}
        with server.http.stream("GET", path, headers=headers) as live:
            lines = live.iter_lines()
            next(lines)
            server.process.send_signal(signal.SIGTERM)
            for _ in lines:
                pass  # the stream ends by itself, with its frames whole
        assert server.process.wait(timeout=30) == 0
    with running(home) as server:
        job = server.ended(job_id)
        assert (job["state"], job["attempt"]) == ("succeeded", 1)


def test_a_second_signal_ends_at_once_and_what_ran_is_given_back(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, drain_s="300") as server:
        server.activate(zipped("counts-words", changes=SLOW))
        job_id = server.submit("slow", s=20).json()["id"]
        begun(server, job_id)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=15) == 0
    with running(home) as server:
        job = server.until(f"/v1/jobs/{job_id}", lambda job: job["attempt"] == 2)
        assert job["attempts"][0]["error"]["code"] == "drained"
        server.http.post(f"/v1/jobs/{job_id}/cancel")


def test_a_third_signal_kills_and_the_next_start_tries_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, drain_s="300") as server:
        server.activate(zipped("counts-words", changes=SLOW))
        job_id = server.submit("slow", s=20).json()["id"]
        begun(server, job_id)
        for _ in range(3):
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        assert server.process.wait(timeout=15) in {0, -signal.SIGKILL}
    with running(home) as server:
        server.until(f"/v1/jobs/{job_id}", lambda job: job["attempt"] == 2)
        server.http.post(f"/v1/jobs/{job_id}/cancel")


def test_what_does_not_finish_in_time_is_given_back_and_tried_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, drain_s="0.2") as server:
        server.activate(zipped("counts-words", changes=SLOW))
        job_id = server.submit("slow", s=2).json()["id"]
        begun(server, job_id)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30) == 0
    with running(home) as server:
        job = server.ended(job_id)
        assert job["state"] == "succeeded"
        assert [one["state"] for one in job["attempts"]] == ["failed", "succeeded"]
        assert job["attempts"][0]["error"]["code"] == "drained"


def test_no_accepted_job_is_lost_or_doubled_by_a_kill(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, slots="2") as server:
        server.activate(zipped("counts-words", changes=SLOW))
        ids = [server.submit("slow", s=0.4).json()["id"] for _ in range(8)]
        begun(server, ids[0])
        server.process.kill()
        server.process.wait()
    with running(home, slots="2") as server:
        for job_id in ids:
            assert server.ended(job_id)["state"] == "succeeded"
            finished = [e for e in server.events(job_id) if e["event"] == "job.finished"]
            assert len(finished) == 1
        queue = server.http.get("/v1/queue").json()
        assert queue["depth"] == 0 and queue["jobs"]["running"] == 0
        lost = [server.http.get(f"/v1/jobs/{one}").json()["attempts"][0] for one in ids]
        codes = {one["error"]["code"] for one in lost if one["error"]}
        assert codes == {"worker-lost"}


def test_an_activation_that_was_killed_is_taken_up_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    waiting = SLOW | {
        "hooks/on_activate.py": "import time\n\n\ndef run(**_):\n    time.sleep(1.5)\n"
    }
    with running(home) as server:
        server.http.post("/v1/packages", content=zipped("counts-words", changes=waiting))
        asked = server.http.post("/v1/packages/slow/versions/1.0/activate").json()
        place = f"/v1/activations/{asked['id']}"
        server.until(place, lambda one: one["state"] == "running")
        server.process.kill()
        server.process.wait()
    with running(home) as server:
        done = server.until(place, lambda one: one["state"] in ("succeeded", "failed"))
        assert done["state"] == "succeeded"


def test_what_a_killed_upload_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home) as server:
        content = zipped("counts-words")
        assert server.activate(content)["state"] == "succeeded"
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as sender:
            head = (
                "POST /v1/packages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n"
                f"Authorization: Bearer {server.token}\r\n\r\n"
            )
            sender.sendall(head.encode() + b"PK")
            server.until("/healthz", lambda _: bool(list((home / "cache").iterdir())))
            server.process.kill()
            server.process.wait()
    (shown,) = home.glob("bundles/*/runnable/*")
    for half_made in (
        home / "bundles/.receive-x1",
        shown.with_name(f".{shown.name}.x2"),
    ):
        (half_made / "files").mkdir(parents=True)
        (half_made / "files/extract.py").touch()
        (half_made / "files").chmod(0o555)
    with running(home) as server:
        assert list((home / "cache").iterdir()) == []
        assert not list(home.glob("bundles/.*"))
        assert [path.name for path in shown.parent.iterdir()] == [shown.name]
        assert server.ended(server.submit("counts-words").json()["id"])["state"] == "succeeded"


def test_a_full_queue_refuses_exactly_what_is_too_much(tmp_path: Path) -> None:
    with running(tmp_path / "home", slots="1", queue_limit="3") as server:
        server.activate(zipped("counts-words", changes=SLOW))
        blocking = server.submit("slow", s=30).json()["id"]
        begun(server, blocking)
        answers = [server.submit("slow", s=0) for _ in range(6)]
        assert [one.status_code for one in answers] == [202, 202, 202, 429, 429, 429]
        refused = answers[-1]
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["code"] == "queue-full"
        asked = server.command("job", "submit", "slow", "-p", "s=0")
        assert asked.returncode == 75

        waiting = answers[0].json()["id"]
        assert server.http.post(f"/v1/jobs/{waiting}/cancel").status_code == 200
        assert server.submit("slow", s=0).status_code == 202
        server.http.post(f"/v1/jobs/{blocking}/cancel")
        for one in answers[1:3]:
            assert server.ended(one.json()["id"])["state"] == "succeeded"


def test_a_home_has_one_appliance_and_the_second_says_so(server: Server) -> None:
    second = run_command("up", "--port", "0", "--home", server.home, environ={})
    assert second.returncode == 6
    assert "Another appliance is using" in second.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = run_command("up", "--port", port, "--home", tmp_path / "home", environ={})
    assert refused.returncode == 6, refused.stderr
    assert port in refused.stderr and "--port" in refused.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_idle_server_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "home") as server:
        server.process.send_signal(number)
        assert server.process.wait(timeout=10) == 0


@pytest.mark.parametrize("words", [["submit", "slow", "-p", "s=6", "--wait"], ["logs", "-f"]])
def test_who_waits_for_a_job_waits_over_a_restart(tmp_path: Path, words: list[str]) -> None:
    home = tmp_path / "home"
    with running(home) as server:
        server.activate(zipped("counts-words", changes=SLOW))
        if words[0] == "logs":
            words = [*words, server.submit("slow", s=6).json()["id"]]
        waiting = start_command("job", *words, environ={"FUMEHOOD_HOME": str(home)})
        job_id = server.until("/v1/jobs", lambda page: page["items"])["items"][0]["id"]
        begun(server, job_id)
        first = stream_of(waiting, words).readline()  # it has begun, too
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)  # two that come together are one (signal(7))
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=30)
        time.sleep(1)
        assert waiting.poll() is None
    with running(home) as server:
        job = server.ended(job_id)
        assert (job["state"], job["attempt"]) == ("succeeded", 2)
        _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, said
    assert "waiting for it to come back" in said
    if words[0] == "submit":
        assert first.strip() == job_id


def stream_of(waiting: subprocess.Popen[str], words: list[str]) -> IO[str]:
    stream = waiting.stderr if words[0] == "submit" else waiting.stdout
    assert stream is not None
    return stream
