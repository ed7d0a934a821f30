"""`fumehood top`: what there is at a glance, anew each second, over restarts."""

import json
import os
import pty
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support.preloaded.starting import FUMEHOOD

from runtime.cli.output.top_text import Sample, rates_between, top_text

from ..conftest import PATIENCE_S, Server, run_command, running, zipped


def sample(at: str, **jobs: int) -> Sample:
    counts = dict.fromkeys(("queued", "running", "waiting", "succeeded", "failed", "cancelled"), 0)
    queue = {"depth": 0, "limit": 10, "jobs": counts | jobs, "waiting": [], "paused": []}
    return Sample(at=at, queue=queue, workers=None, gate=None, rates=None)  # type: ignore[typeddict-item]


def test_once_shows_queue_workers_running_jobs_and_gate(tmp_path: Path) -> None:
    with running(tmp_path / "home", slots="1") as server:
        server.activate(zipped("extract-hangs"))
        first, second = (server.submit("extract-hangs").json()["id"] for _ in range(2))
        server.until(f"/v1/jobs/{first}", lambda job: job["state"] == "running")
        server.http.put("/v1/gate", json={"is_open": True, "minutes": 5, "reason": "wheels"})
        shown = server.command("top", "--once")
        assert shown.returncode == 0, shown.stderr
        assert "1 of 10000 that may wait" in shown.stdout
        assert "gate  OPEN until" in shown.stdout and "wheels" in shown.stdout
        worker = server.http.get("/v1/workers").json()["items"][0]["id"]
        (row,) = [line for line in shown.stdout.splitlines() if line.startswith(first)]
        assert "extract-hangs" in row and row.endswith(worker)
        assert "1 of 1" in shown.stdout
        told = json.loads(server.command("top", "--json").stdout)
        assert told["queue"]["depth"] == 1 and told["gate"]["is_open"] is True
        assert [job["id"] for one in told["workers"] for job in one["jobs"]] == [first]
        assert server.command("top").stdout.startswith("gate"), "no terminal: once"
        for job in (second, first):
            server.http.post(f"/v1/jobs/{job}/cancel")


def test_who_may_see_less_is_shown_less(counting: Server) -> None:
    environ = {"FUMEHOOD_URL": counting.url, "FUMEHOOD_TOKEN": counting.token_for("client")}
    shown = run_command("top", environ=environ)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("not in sight of this token") == 2


def test_where_nobody_answers_once_says_so_and_ends(tmp_path: Path) -> None:
    shown = run_command("top", "--once", environ={"FUMEHOOD_HOME": str(tmp_path / "nothing")})
    assert shown.returncode == 75 and "No appliance is running" in shown.stderr


def test_rates_are_of_what_ended_between_two_looks() -> None:
    before = sample("2026-11-29T08:00:00.000Z", succeeded=10, failed=4)
    now = sample("2026-11-29T08:00:02.000Z", succeeded=15, failed=1)
    now["rates"] = rates_between(before, now)
    assert now["rates"] == {"succeeded": 2.5, "failed": 0, "cancelled": 0}
    assert "succeeded 2.5/s" in top_text(now)


class Screen:
    """A terminal that a command runs in, and all that it was sent."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self._said = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                more = os.read(self.master, 65536)
            except OSError:
                return
            if not more:
                return
            self._said += more

    def until(self, is_so: Callable[[str], bool]) -> None:
        """Wait until what was shown since the last call is so."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_so(self._said.decode(errors="replace")):
            assert time.monotonic() < deadline, bytes(self._said[-2000:])
            time.sleep(0.02)
        self._said.clear()


@contextmanager
def top_in_a_terminal(home: Path) -> Iterator[tuple[Screen, subprocess.Popen[bytes]]]:
    screen = Screen()
    environ = {name: one for name, one in os.environ.items() if not name.startswith("FUMEHOOD_")}
    environ |= {"FUMEHOOD_HOME": str(home), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(
        [FUMEHOOD, "top"],
        env=environ,
        stdin=screen.slave,
        stdout=screen.slave,
        stderr=screen.slave,
    )
    os.close(screen.slave)
    try:
        yield screen, process
    finally:
        process.kill()
        process.wait()
        os.close(screen.master)


def test_it_shows_each_second_outlives_a_restart_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home) as server, top_in_a_terminal(home) as (screen, process):
        screen.until(lambda said: "0 of 10000 that may wait" in said)
        server.activate(zipped("counts-words"))
        server.ended(server.submit("counts-words").json()["id"])
        screen.until(lambda said: "1 succeeded" in said and "succeeded 0/s" in said)
        server.process.terminate()
        server.process.wait(timeout=PATIENCE_S)
        screen.until(lambda said: "not reachable, trying again" in said)
        with running(home):
            screen.until(lambda said: "not reachable" not in said.rpartition("gate  closed")[2])
            screen.until(lambda said: "1 succeeded" in said)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=PATIENCE_S) == 130
