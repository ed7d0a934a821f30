"""A crash of a run leaves its memory to nobody, a piped core_pattern included (core(5))."""

import fcntl
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile.arena import Arena

from sandbox.sandbox import Sandbox

PATTERN = Path("/proc/sys/kernel/core_pattern")
MARK = f"marked-{secrets.token_hex(16)}"
CRASH = "import os, resource; resource.setrlimit(resource.RLIMIT_CORE, ({0}, {0})); os.abort()"
STARTS = pytest.mark.parametrize("start", ["cold", "warm"])
LEVELS = pytest.mark.parametrize("level", ["namespaced", "unprivileged"])


@pytest.fixture
def handed_over(world: Path) -> Iterator[Path]:
    """Where the host's handler, set for this test, notes how many bytes it was given."""
    if os.geteuid() != 0 or not os.access(PATTERN, os.W_OK):
        pytest.skip("only root of the host may name a handler")
    handler, note = world / "handler", world / "handed-over"
    note.unlink(missing_ok=True)
    # Others crash on this host too: only what has the mark in its memory counts.
    handler.write_text(f"#!/bin/sh\ngrep -c {MARK} > {note}.$$ && mv {note}.$$ {note}\n")
    handler.chmod(0o755)
    with PATTERN.open("rb") as alone:  # one at a time of all tests on this host
        fcntl.flock(alone, fcntl.LOCK_EX)
        before = PATTERN.read_text()
        PATTERN.write_text(f"|{handler}")
        try:
            yield note
        finally:
            PATTERN.write_text(before)
            assert PATTERN.read_text() == before


def came(note: Path, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not note.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return note.exists()


@pytest.mark.xdist_group("core-pattern")
def test_a_limit_of_nothing_is_no_wall(handed_over: Path) -> None:
    subprocess.run([sys.executable, "-c", CRASH.format(0), MARK], cwd="/", check=False)
    if not came(handed_over, within_s=20):
        pytest.skip("the kernel starts no handler here")
    assert int(handed_over.read_text()) > 0


@LEVELS
@STARTS
@pytest.mark.xdist_group("core-pattern")
@pytest.mark.parametrize("target", ["crash_a_child", "crash_oneself"])
async def test_the_hosts_handler_gets_nothing_of_a_run(
    target: str,
    level: str,
    start: str,
    sandbox: Sandbox,
    arena: Arena,
    tmp_path: Path,
    handed_over: Path,
) -> None:
    outcome = await sandbox.run(
        arena.command(f"traces:{target}", is_warm=start == "warm", mark_of_memory=MARK),
        outputs_to=tmp_path / "outputs",
        observe=lambda _: None,
    )
    assert outcome.isolation.start == start, outcome.isolation.start_reason
    if target == "crash_a_child":
        assert outcome.is_ok, outcome.failure
        assert outcome.value == {"worked": False, "limits": [[1, 1]] * 3}
    else:
        assert not outcome.is_ok
    # The kernel begins a handler before whoever waits hears of the death (do_coredump).
    assert not came(handed_over, within_s=0.5)
