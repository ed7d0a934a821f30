"""What a program may rely on outside holds in a cell: cold and warm, at every level."""

import dataclasses
from collections.abc import Callable

import pytest

STARTS = pytest.mark.parametrize("start", ["cold", "warm"])


@STARTS
async def test_files_are_renamed_and_linked_between_scratch_and_outputs(run: Callable):
    code = """
    import os, shutil, tempfile
    from pathlib import Path
    def extract(*, job, **_):
        for number, move in enumerate((os.rename, os.replace, shutil.move, os.link)):
            made = Path(job.scratch_dir) / f"made{number}"
            made.write_text(str(number))
            move(made, Path(job.output_dir) / f"kept{number}")
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(b"4")
        os.replace(file.name, Path(job.output_dir) / "kept4")
        os.replace(Path(job.output_dir) / "kept4", Path(job.scratch_dir) / "back")
        os.replace(Path(job.scratch_dir) / "back", Path(job.output_dir) / "kept4")
    """
    outcome = await run(code)
    assert outcome.is_ok, outcome.failure
    assert [output.path for output in outcome.outputs] == [f"kept{n}" for n in range(5)]


@STARTS
@pytest.mark.parametrize(("folder", "limit"), [("output", "output_mb"), ("scratch", "scratch_mb")])
async def test_neither_folder_takes_the_part_of_the_other(run: Callable, folder, limit):
    """They share a file system that is as large as both: each limit is looked at by itself."""
    code = f"""
    import os, time
    def extract(*, job, **_):
        with open(os.path.join(str(job.{folder}_dir), "big"), "wb") as file:
            for _ in range(12):
                file.write(bytes(1 << 20))
                file.flush()
        time.sleep(5)
    """
    outcome = await run(code, output_mb=8, scratch_mb=8)
    assert outcome.failure is not None and outcome.failure.limit == limit, outcome
    assert outcome.failure.limit_value == 8


@STARTS
async def test_many_names_of_one_file_are_held_once(run: Callable):
    code = """
    import os, time
    def extract(*, job, **_):
        first = os.path.join(str(job.scratch_dir), "0")
        with open(first, "wb") as file:
            file.write(bytes(5 << 20))
        for number in range(1, 9):
            os.link(first, os.path.join(str(job.scratch_dir), str(number)))
        with open(os.path.join(str(job.output_dir), "big"), "wb") as file:
            file.write(bytes(5 << 20))
        time.sleep(0.5)
        return "done"
    """
    outcome = await run(code, output_mb=8, scratch_mb=8)
    assert outcome.value == "done", outcome.failure


@STARTS
async def test_it_finds_the_tools_that_programs_look_for(run: Callable):
    code = """
    import ctypes.util, getpass, mimetypes, os, shutil, subprocess
    def extract(*, job, **_):
        return [
            getpass.getuser(), ctypes.util.find_library("c"), mimetypes.guess_type("a.docx")[0],
            subprocess.run("echo hi | tr h H", shell=True, capture_output=True, text=True).stdout,
            [shutil.which(name) is None for name in ("sh", "env", "cat")],
            sorted(name for name, value in os.environ.items() if value.startswith(("/root", "/home"))),
        ]
    """
    outcome = await run(code)
    document = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    assert outcome.value == ["cell", "libc.so.6", document, "Hi\n", [False] * 3, []], outcome


@STARTS
async def test_its_children_find_what_it_finds(run: Callable):
    code = """
    import subprocess, sys
    def tell(*arguments):
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        return [done.returncode, done.stdout.strip(), done.stderr]
    def extract(*, job, **_):
        return [
            tell("-c", "import extract, sys; print(extract.__name__, sys.flags.isolated)"),
            tell("-m", "extract"),
            subprocess._args_from_interpreter_flags(),
            sys.flags.isolated, sys.flags.hash_randomization,
        ]
    """
    outcome = await run(code)
    assert outcome.value == [[0, "extract 0", ""], [0, "", ""], [], 0, 1], outcome


@STARTS
async def test_it_is_told_of_as_many_processors_as_it_may_use(run: Callable):
    code = """
    import os
    AT_IMPORT = len(os.sched_getaffinity(0))
    def extract(*, job, **_):
        return [
            os.cpu_count(), len(os.sched_getaffinity(0)), os.environ["PYTHON_CPU_COUNT"], AT_IMPORT
        ]
    """
    outcome = await run(code, cpus=1)
    assert outcome.value == [1, 1, "1", 1], outcome.failure


@STARTS
async def test_it_finds_its_limits_where_programs_look_that_run_in_containers(lab, warm, start):
    code = """
    import os
    from pathlib import Path
    def extract(*, job, **_):
        root = Path("/sys/fs/cgroup")
        names = (
            "memory.max", "memory/memory.limit_in_bytes", "cpu.max", "cpu/cpu.cfs_quota_us",
            "cpu/cpu.cfs_period_us",
        )
        try:
            (root / "memory.max").write_text("max")
        except OSError:
            return [(root / name).read_text().strip() for name in names]
    """
    command = lab.command(code)
    limits = dataclasses.replace(command.limits, cpus=1.5, memory_mb=128)
    command = dataclasses.replace(command, limits=limits)
    outcome = await lab.run(warm(command) if start == "warm" else command)
    memory = str(128 << 20)
    assert outcome.value == [memory, memory, "150000 100000", "150000", "100000"], outcome


@STARTS
async def test_the_memory_that_proc_tells_of_is_its_own(lab, warm, start):
    """What the import reads, and each run after it; and it cannot be written, or taken away."""
    code = """
    import ctypes
    def total():
        with open("/proc/meminfo") as lines:
            found = dict(line.split(":") for line in lines)
        return [int(found[name].split()[0]) for name in ("MemTotal", "MemAvailable", "SwapTotal")]
    AT_IMPORT = total()
    def extract(*, job, **_):
        ctypes.CDLL(None).umount2(b"/proc/meminfo", 2)
        try:
            with open("/proc/meminfo", "w") as file:
                file.write("MemTotal: 1 kB")
        except OSError:
            return [AT_IMPORT, total()]
    """
    command = lab.command(code)
    limits = dataclasses.replace(command.limits, memory_mb=128)
    command = dataclasses.replace(command, limits=limits)
    for _ in range(2):
        outcome = await lab.run(warm(command) if start == "warm" else command)
        assert outcome.value == [[128 << 10, 128 << 10, 0]] * 2, outcome
        assert outcome.isolation.start == start, outcome.isolation.start_reason


async def test_generators_that_nobody_seeded_differ_and_seeded_ones_do_not(lab, warm):
    code = """
    import random
    OWN, SEEDED = random.Random(), random.Random(42)
    class Kept:
        own = random.Random()
    random.seed(7)
    def extract(*, job, **_):
        return [
            [OWN.random(), Kept.own.random()], [SEEDED.random(), random.random()],
            random.Random.seed.__qualname__, vars(SEEDED),
        ]
    """
    command = lab.command(code)
    cold = (await lab.run(command)).value
    runs = [await lab.run(warm(command)) for _ in range(3)]
    assert {run.isolation.start for run in runs} == {"warm"}
    drawn = [tuple(run.value[0]) for run in runs]
    assert len({number for pair in drawn for number in pair}) == 6
    assert all(run.value[1:] == cold[1:] for run in runs), "as `python` gives them each time"


async def test_what_an_import_left_open_or_shared_is_had_anew(lab, warm):
    code = """
    import mmap, multiprocessing, os
    LOCK, QUEUE = multiprocessing.Lock(), multiprocessing.Queue()
    COUNT = multiprocessing.Value("i", 7)
    MEMORY = mmap.mmap(-1, 8192)
    MEMORY[:5] = b"first"
    GAP = open(os.devnull)
    FILES = [open(__file__) for _ in range(3)]
    GAP.close()
    FILES[1].seek(3)
    PIPE = os.pipe()
    def child():
        with LOCK:
            COUNT.value += 1
            MEMORY[:5] = b"child"
            QUEUE.put("from the child")
    def extract(*, job, **_):
        LOCK.acquire()
        process = multiprocessing.Process(target=child)
        process.start()
        process.join(0.2)
        was_waiting = process.is_alive()
        LOCK.release()
        said = QUEUE.get(timeout=5)
        process.join()
        os.write(PIPE[1], b"x")
        return [
            was_waiting, said, COUNT.value, MEMORY[:5].decode(), os.read(PIPE[0], 9).decode(),
            [len(file.read()) for file in FILES],
        ]
    """
    command = lab.command(code)
    cold = (await lab.run(command)).value
    assert cold[:5] == [True, "from the child", 8, "child", "x"]
    for _ in range(3):
        outcome = await lab.run(warm(command))
        assert outcome.isolation.start == "warm", outcome.isolation.start_reason
        assert outcome.value == cold, "nothing that the run before did is there"


async def test_an_event_loop_that_an_import_made_is_had_anew(lab, warm):
    code = """
    import asyncio, os, socket, threading
    LOOP, OTHER = asyncio.new_event_loop(), asyncio.new_event_loop()
    PAIR = socket.socketpair()
    READ, WRITE = os.pipe()
    LOOP.add_reader(READ, lambda: SEEN.append(os.read(READ, 9).decode()))
    SEEN = []
    async def wake():
        woken = asyncio.Event()
        LOOP.call_later(0.01, os.write, WRITE, b"piped")
        threading.Timer(0.05, LOOP.call_soon_threadsafe, (woken.set,)).start()
        await woken.wait()
        return "woken"
    def extract(*, job, **_):
        PAIR[0].send(b"x")
        return [
            LOOP.run_until_complete(wake()), OTHER.run_until_complete(asyncio.sleep(0, "slept")),
            SEEN, PAIR[1].recv(9).decode(), PAIR[1].getblocking(),
        ]
    """
    command = lab.command(code)
    cold = (await lab.run(command)).value
    assert cold == ["woken", "slept", ["piped"], "x", True]
    for _ in range(3):
        outcome = await lab.run(warm(command))
        assert outcome.isolation.start == "warm", outcome.isolation.start_reason
        assert outcome.failure is None, outcome.failure
        assert outcome.value == cold, "nothing that the run before did is there"


@pytest.mark.parametrize(
    "made",
    [
        "PAIR = socket.socketpair()\nPAIR[0].send(b'secret')",
        "PAIR = socket.socketpair()\nPAIR[0].close()",
        "HELD = socket.socket(socket.AF_UNIX)",
        "HELD = select.epoll()\nHELD.register(1)",
    ],
    ids=["with-content", "half", "lonely", "of-a-stream"],
)
async def test_sockets_and_polls_that_cannot_be_had_anew_keep_a_version_cold(lab, warm, made):
    code = f"import select, socket\n{made}\ndef extract(*, job, **_):\n    return 1\n"
    outcome = await lab.run(warm(lab.command(code)))
    assert (outcome.value, outcome.isolation.start) == (1, "cold")
    assert "left open: " in outcome.isolation.start_reason


async def test_a_pipe_with_something_in_it_keeps_a_version_cold(lab, warm):
    code = """
    import os
    PIPE = os.pipe()
    os.write(PIPE[1], b"secret")
    def extract(*, job, **_):
        return os.read(PIPE[0], 9).decode()
    """
    outcome = await lab.run(warm(lab.command(code)))
    assert (outcome.value, outcome.isolation.start) == ("secret", "cold")
    assert "pipe:" in outcome.isolation.start_reason


@STARTS
@pytest.mark.parametrize(
    ("way", "signal"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("signal.raise_signal(signal.SIGKILL)", "SIGKILL"),
        ("signal.alarm(1); time.sleep(3)", "SIGALRM"),
        ("os.abort()", "SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGUSR1)", "SIGUSR1"),
        ("ctypes.string_at(0)", "SIGSEGV"),
    ],
)
async def test_it_ends_by_a_signal_of_its_own(run: Callable, way: str, signal: str):
    code = f"""
    import ctypes, os, signal, time
    def extract(*, job, **_):
        {way}
        time.sleep(0.5)
        return "alive"
    """
    outcome = await run(code)
    assert outcome.signal == signal, outcome
    assert outcome.failure is not None and outcome.failure.code == "package-crashed"


@STARTS
async def test_its_children_have_signals_as_outside(run: Callable):
    code = """
    import faulthandler, multiprocessing, os, signal, subprocess, sys, time
    def end(how):
        signal.alarm(0)
        if how == "abort":
            os.abort()
        os.kill(os.getpid(), how)
        time.sleep(5)
    def extract(*, job, **_):
        said = [int(signal.getsignal(signal.SIGALRM)), int(signal.getsignal(signal.SIGABRT))]
        ended = []
        for how in (signal.SIGALRM, signal.SIGKILL, "abort", signal.SIGTERM):
            pid = os.fork()
            if pid == 0:
                end(how)
            ended.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        ran = subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 14)"])
        before = signal.signal(signal.SIGALRM, lambda *_: said.append("rang"))
        signal.alarm(1)
        time.sleep(1.5)
        signal.signal(signal.SIGALRM, before)
        return [said, ended, ran.returncode]
    """
    outcome = await run(code)
    assert outcome.value == [
        [0, 0, "rang"],
        [-14, -9, -6, -15],
        -14,
    ], outcome
