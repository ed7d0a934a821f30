"""What the fork server of the tests makes is like a process that was really started."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.preloaded.starting import ForkServer, start

PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
OF_STATUS = ("Name", "Umask", "Uid", "Gid", "Groups", "SigBlk", "SigIgn", "SigCgt", "CapEff")
OF_QUEUE = "tokio-rt-worker"
"""What the threads of Docket's queue in memory are called."""
WAYS = pytest.mark.parametrize("is_real", [True, False], ids=["real", "forked"])


def environ(home: Path, **others: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FUMEHOOD_")}
    return ours | {"FUMEHOOD_HOME": str(home)} | others


def seen_from_outside(home: Path, *, is_real: bool) -> Mapping[str, object]:
    """Start an appliance; return what the kernel tells of it when it answers and has its queue."""
    words = ["up", "--port", "0", "--json"]
    with start(words, environ=environ(home), is_real=is_real, umask=0o027, **PIPES) as process:
        assert process.stdout and process.stdout.readline()
        proc = Path(f"/proc/{process.pid}")
        wait_for_thread(proc, OF_QUEUE)  # Docket is imported, and opened, after the first answer
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        opened = [os.readlink(one) for one in (proc / "fd").iterdir()]
        seen = {
            "status": {name: status[name].split() for name in OF_STATUS},
            "limits": (proc / "limits").read_text(),
            "folder": os.readlink(proc / "cwd"),
            "opened": {re.sub(r"\d+", "N", Path(one).name) for one in opened},
        }
        process.terminate()
        assert process.wait(timeout=60) == 0
    return seen


def wait_for_thread(proc: Path, name: str) -> None:
    """Wait until a process has a thread of this name."""
    deadline = time.monotonic() + 60
    while not any((one / "comm").read_text().strip() == name for one in (proc / "task").iterdir()):
        assert time.monotonic() < deadline, f"no thread is called {name}"
        time.sleep(0.05)


def test_the_kernel_tells_of_it_what_it_tells_of_a_real_one(tmp_path: Path) -> None:
    real = seen_from_outside(tmp_path / "real/home", is_real=True)
    assert seen_from_outside(tmp_path / "forked/home", is_real=False) == real


@WAYS
def test_it_says_and_returns_what_it_should(tmp_path: Path, *, is_real: bool) -> None:
    with start(["nonsense"], environ=environ(tmp_path), is_real=is_real, **PIPES) as process:
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, said) == (2, "")
    assert "No such command 'nonsense'" in errors


@WAYS
def test_it_has_the_settings_that_it_was_given_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_real: bool
) -> None:
    monkeypatch.setenv("FUMEHOOD_SLOTS", "7")
    given = environ(tmp_path, FUMEHOOD_DRAIN_S="3")
    words = ["config", "show", "--json"]
    with start(words, environ=given, is_real=is_real, **PIPES) as process:
        said, _ = process.communicate(timeout=60)
    found = {one["setting"]: one for one in json.loads(said)}
    assert found["drain_s"]["value"] == 3
    assert {found[name]["origin"] for name in ("drain_s", "home")} == {"environment"}
    assert found["slots"]["origin"] == "default"


@WAYS
def test_it_can_be_killed_and_waited_for(tmp_path: Path, *, is_real: bool) -> None:
    words = ["up", "--port", "0", "--json", "--home", tmp_path / "home"]
    with start(words, environ=environ(tmp_path), is_real=is_real, **PIPES) as process:
        assert process.stdout and process.stdout.readline()
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
        process.kill()
        assert process.wait(timeout=60) == -signal.SIGKILL
    assert not Path(f"/proc/{process.pid}").exists()


def test_nothing_is_left_behind_where_the_tests_are_killed(tmp_path: Path) -> None:
    server, (ours, theirs) = ForkServer(), os.pipe()
    given = environ(tmp_path / "home")
    words = ["fumehood", "up", "--port", "0", "--json"]
    streams = [theirs, theirs, theirs]
    pid, heard = server.fork(words, environ=given, umask=-1, streams=streams)
    os.close(theirs)
    with heard, os.fdopen(ours) as said:
        assert any("url" in line for line in said)
        os.kill(server.pid, signal.SIGKILL)
        server.close()
        assert "no longer listening" in said.read(), "it stopped in order"
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_read_at_start_only_wants_a_real_start(tmp_path: Path) -> None:
    given = environ(tmp_path, PYTHONUTF8="1")
    with pytest.raises(ValueError, match="is_real"):
        start(["version"], environ=given, **PIPES)
