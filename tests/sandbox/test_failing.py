"""How a run fails: each ending, with what happened, where, and the mend."""

import asyncio
import dataclasses
import time

import pytest

from sandbox.command import Ending

ENDINGS = [
    ("raise ValueError('bad cell B7')", Ending.RAISED, "package-raised", "ValueError: bad cell B7"),
    ("return {1, 2}", Ending.RAISED, "result-not-json", "cannot be written as JSON"),
    ("return float('inf')", Ending.RAISED, "result-not-json", "cannot be written as JSON"),
    ("return 10**400", Ending.RAISED, "result-not-json", "more than 308 digits"),
    ("return {'a': [-(10**4299)]}", Ending.RAISED, "result-not-json", "more than 308 digits"),
    ("return 10**5000", Ending.RAISED, "result-not-json", "cannot be written as JSON"),
    (
        "x = 1\n    for _ in range(61): x = [x]\n    return x",
        Ending.RAISED,
        "result-not-json",
        "nested deeper than 60",
    ),
    ("job.progress(1e308)", Ending.RAISED, "package-raised", "from -2**53 to 2**53"),
    ("job.progress(1, 10**400)", Ending.RAISED, "package-raised", "from -2**53 to 2**53"),
    ("job.progress(float('nan'))", Ending.RAISED, "package-raised", "from -2**53 to 2**53"),
    ("job.event('e', n=10**400)", Ending.RAISED, "package-raised", "more than 308 digits"),
    ("job.event('e', n=float('inf'))", Ending.RAISED, "package-raised", "n is inf: None"),
    (
        "x = {}\n    for _ in range(61): x = {'a': x}\n    job.event('e', **x)",
        Ending.RAISED,
        "package-raised",
        "nested deeper than 60",
    ),
    ("job.ask('k', 'p', {'a': {1, 2}})", Ending.RAISED, "package-raised", "a value of type set"),
    ("job.ask('k', 'p' * (3 << 20))", Ending.RAISED, "package-raised", "a question of"),
    ("raise OSError(10**400, 'odd')", Ending.RAISED, "package-raised", "odd"),
    ("raise OSError('odd', 'errno')", Ending.RAISED, "package-raised", "odd"),
    ("raise OSError(5, 'odd', '/' * (4 << 20))", Ending.RAISED, "package-raised", "odd"),
    (
        "return {f'k{n}': n for n in range(60_000)}",
        Ending.RAISED,
        "result-too-many",
        "at most 100000",
    ),
    ("return [0] * 100_001", Ending.RAISED, "result-too-many", "at most 100000"),
    ("return [[]] * 100_000", Ending.RAISED, "result-too-many", "at most 100000"),
    (
        "job.event('e', n=[0] * 100_001)",
        Ending.RAISED,
        "package-raised",
        "write them to a file in output_dir",
    ),
    ("return 'x' * (2 << 20)", Ending.OVER_LIMIT, "over-limit", "result_kb"),
    ("raise SystemExit(3)", Ending.EXITED, "package-exited", "exit(3)"),
    ("import os; os._exit(4)", Ending.EXITED, "package-exited", "exit(4)"),
    ("import ctypes; ctypes.string_at(0)", Ending.KILLED, "package-crashed", "SIGSEGV"),
    ("import time; time.sleep(60)", Ending.OVER_LIMIT, "over-limit", "wall_s is 1"),
    ("while True: pass", Ending.OVER_LIMIT, "over-limit", "cpu_s is 0.5"),
    (
        "bytearray(1 << 30)[::4096]; b = b'x' * (1 << 30)",
        Ending.OVER_LIMIT,
        "over-limit",
        "memory_mb is 64",
    ),
    ("open(job.output_dir / 'f', 'wb').write(b'x' * (20 << 20))", None, "", "output_mb = 16"),
    (
        "[open('/dev/null') for _ in range(999)]; held = [open('/dev/null') for _ in range(999)]",
        Ending.RAISED,
        "package-raised",
        "open_files = 256",
    ),
]


@pytest.mark.parametrize("start", ["cold", "warm"])
@pytest.mark.parametrize(
    ("body", "ending", "code", "words"), ENDINGS, ids=[e[0][:24] for e in ENDINGS]
)
async def test_each_ending_says_what_happened(lab, warm, body, ending, code, words, start):
    command = lab.command(f"def extract(*, job, **_):\n    {body}")
    wall_s = 1 if "sleep" in body else 20
    cpu_s = 0.5 if "while" in body else 10
    limits = dataclasses.replace(command.limits, wall_s=wall_s, cpu_s=cpu_s, memory_mb=64)
    if "x' * (20" in body or "dev/null" in body:
        limits = dataclasses.replace(limits, memory_mb=256)
    command = dataclasses.replace(command, limits=limits)
    outcome = await lab.run(warm(command) if start == "warm" else command)
    assert not outcome.is_ok
    assert ending is None or outcome.ending is ending, outcome
    assert not code or outcome.failure.code == code
    assert words in outcome.failure.what, outcome.failure
    assert outcome.failure.mend


@pytest.mark.parametrize("start", ["cold", "warm"])
async def test_what_is_just_within_the_bounds_is_taken(lab, warm, start):
    code = """
def extract(*, job, **_):
    job.progress(True, 2**53)
    job.progress(-0.5, 1e15)
    deep = 1
    for _ in range(60):
        deep = [deep]
    job.event("large", n=10**308 - 1, f=1.7e308, tuples=(1, (2,)), deep=deep[0][0])
    return {"n": -(10**308) + 1, "deep": deep[0]}
"""
    command = lab.command(code)
    outcome = await lab.run(warm(command) if start == "warm" else command)
    assert outcome.is_ok, outcome
    assert outcome.value["n"] == -(10**308) + 1
    assert [one["done"] for one in lab.said("progress")] == [1, -0.5]
    assert lab.said("event")[0]["data"]["n"] == 10**308 - 1


@pytest.mark.parametrize("start", ["cold", "warm"])
@pytest.mark.parametrize("folder", ["output", "scratch"])
async def test_too_many_files_are_told_from_too_many_bytes(lab, warm, folder, start):
    """The kernel says the same of both: no space left on device (ENOSPC)."""
    command = lab.command(
        f"""
        def extract(*, job, **_):
            for number in range(4000):
                (job.{folder}_dir / str(number)).touch()
        """
    )
    outcome = await lab.run(warm(command) if start == "warm" else command)
    assert outcome.failure.limit == f"{folder}_inodes", outcome.failure
    assert outcome.failure.limit_value == 1024
    assert f"raise limits.{folder}_mb" in outcome.failure.mend


async def test_a_traceback_begins_in_the_authors_code(lab):
    code = """
    def extract(*, job, **_):
        return helper()
    def helper():
        raise KeyError("total")
    """
    trace = (await lab.run(lab.command(code))).failure.traceback
    assert "/bundle/extract.py" in trace and "fumehood_inside" not in trace
    assert trace.rstrip().endswith("KeyError: 'total'")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nowhere", "No module named 'nowhere'"),
        ("def extract(", "SyntaxError"),
        ("def other(): pass", "no attribute 'extract'"),
        ("extract = 5", "not callable"),
        ("raise RuntimeError('at import')", "at import"),
        ("raise SystemExit(0)", "exit(0)"),
    ],
)
async def test_an_entry_point_that_does_not_load(lab, code, words):
    outcome = await lab.run(lab.command(code))
    assert outcome.ending in {Ending.UNLOADABLE, Ending.EXITED}
    assert words in outcome.failure.what + outcome.failure.traceback


async def test_lines_that_are_not_utf8_or_never_end_are_kept_legibly(lab):
    code = """
    import sys
    def extract(*, job, **_):
        sys.stdout.buffer.write(b"caf\\xe9\\n" + b"x" * 50_000); sys.stdout.flush()
    """
    assert (await lab.run(lab.command(code))).is_ok
    lines = [said["line"] for said in lab.said("stdout")]
    assert lines[0] == "caf\\xe9"
    assert "".join(lines[1:]) == "x" * 50_000


async def test_a_flood_of_empty_lines_is_counted_and_no_more_of_it_is_told_than_may_be(lab):
    """Each line of a full pipe (1 MiB if the run wants) would take a microsecond or two."""
    code = """
    import fcntl, os
    def extract(*, job, **_):
        for fd in (1, 2):
            fcntl.fcntl(fd, 1031, 1 << 20)  # F_SETPIPE_SZ
        stream = 1 + (os.fork() == 0)
        while True:
            os.write(stream, b"\\n" * (1 << 20))
    """
    command = lab.command(code)
    outcome = await lab.run(command)
    assert outcome.failure.limit == "log_lines"
    assert len(lab.reports) == command.limits.log_lines
    assert outcome.dropped_log_bytes > 0


async def test_a_run_that_ends_itself_with_sigterm_was_not_cancelled(lab):
    code = """
    import os, signal
    def extract(*, job, **_): os.kill(os.getpid(), signal.SIGTERM)
    """
    outcome = await lab.run(lab.command(code))
    assert outcome.ending is Ending.KILLED and outcome.signal == "SIGTERM"


@pytest.mark.parametrize("start", ["cold", "warm"])
async def test_cancelling_lets_a_run_clean_up_and_keeps_its_outputs(lab, warm, start):
    code = """
    import time
    def extract(*, job, **_):
        (job.output_dir / "part.txt").write_text("so far")
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            print("cleaned up", flush=True)
    """
    command = lab.command(code)
    outcome = await cancelled_when_ready(lab, warm(command) if start == "warm" else command)
    assert outcome.ending is Ending.CANCELLED
    assert [output.path for output in outcome.outputs] == ["part.txt"]
    assert {"line": "cleaned up"} in lab.said("stdout")


@pytest.mark.parametrize("start", ["cold", "warm"])
async def test_a_run_that_is_deaf_to_sigterm_is_killed_after_the_grace(lab, warm, start):
    code = """
    import signal, time
    def extract(*, job, **_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        time.sleep(60)
    """
    command = lab.command(code)
    outcome = await cancelled_when_ready(lab, warm(command) if start == "warm" else command)
    assert outcome.ending is Ending.CANCELLED


async def cancelled_when_ready(lab, command):
    cancelled = asyncio.Event()
    running = asyncio.create_task(lab.run(command, cancelled=cancelled))
    deadline = time.monotonic() + 10
    while {"line": "ready"} not in lab.said("stdout") and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    cancelled.set()
    return await running


@pytest.mark.parametrize("start", ["cold", "warm"])
async def test_a_long_text_may_be_full_of_what_stands_between_values(lab, warm, start):
    command = lab.command("def extract(*, job, **_):\n    return ',:[{\"' * 50_000")
    outcome = await lab.run(warm(command) if start == "warm" else command)
    assert outcome.value == ',:[{"' * 50_000, outcome.failure
