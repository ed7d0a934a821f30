"""Warm cells: a fresh process for each run, and nothing of one run in the next."""

import asyncio
import contextlib
import dataclasses
import hashlib
import os
import re
import signal
from collections import Counter
from pathlib import Path

import psutil
import pytest
from support.interpreters import reachable_copy

from sandbox.cells.cell import Cell
from sandbox.cells.pool import Pool, PoolBounds, _family
from sandbox.cells.warm import WarmCell
from sandbox.command import ColdReason, Ending
from sandbox.errors import CellLostError, SandboxError
from sandbox.runs import supervision
from sandbox.sandbox import Sandbox


async def test_runs_of_one_version_are_forks_of_one_import(lab, warm):
    code = """
    import os, time
    IMPORTED = time.monotonic()
    def extract(*, job, **_): return [IMPORTED, os.getpid()]
    """
    command = warm(lab.command(code))
    first, second = await lab.run(command), await lab.run(command)
    assert first.isolation.start == second.isolation.start == "warm"
    assert first.value == [second.value[0], 1]  # each is the first process of its own namespace


async def test_what_a_run_has_from_its_warm_cell_counts_as_its_memory_too(lab, warm):
    """A cold start of the same would take as much, and its limits are to be chosen by that."""
    code = """
    HELD = b"x" * (48 << 20)
    def extract(*, job, more_mb, **_):
        return len(b"y" * (more_mb << 20))
    """
    command = warm(lab.command(code, arguments={"more_mb": 0}))
    few, more = [
        (await lab.run(dataclasses.replace(command, arguments={"more_mb": mb}))) for mb in (0, 32)
    ]
    assert few.isolation.start == more.isolation.start == "warm"
    assert 48 << 20 <= few.usage.peak_rss_bytes < 80 << 20 <= more.usage.peak_rss_bytes < 112 << 20


@pytest.mark.parametrize("start", ["cold", "warm"])
@pytest.mark.parametrize("level", ["namespaced", "unprivileged"])
async def test_a_run_says_on_which_libraries_of_the_host_it_ran(
    lab, warm, plain_sandbox, world, level, start
):
    if level == "unprivileged":
        lab.sandbox = plain_sandbox
    code = "import ctypes, ssl, sqlite3\ndef extract(*, job, **_):\n    return 1\n"
    command = lab.command(code, interpreter=reachable_copy(world))
    outcome = await lab.run(warm(command) if start == "warm" else command)
    assert outcome.isolation.start == start, outcome.isolation.start_reason
    libraries = {Path(one.path).name: one for one in outcome.isolation.host_libraries}
    libc = libraries["libc.so.6"]
    digest = hashlib.sha256(Path(libc.path).read_bytes()).hexdigest()
    assert libc.sha256 == f"sha256:{digest}"
    assert list(libraries.values()) == sorted(libraries.values(), key=lambda one: one.path)


async def test_nothing_is_imported_beside_the_first_one_until_another_comes(lab, warm):
    """Two imports beside each other take longer than one: the first to come has the machine."""
    code = "import time\ndef extract(*, seconds, **_):\n    time.sleep(seconds)\n"
    command = _may_begin_cold(warm(lab.command(code, arguments={"seconds": 2.0})))
    me = psutil.Process()
    before = set(me.children())
    first = asyncio.create_task(lab.run(command))
    await asyncio.sleep(0.6)
    assert len(set(me.children()) - before) == 1, "its own process"
    second = await lab.run(dataclasses.replace(command, arguments={"seconds": 0}))
    assert second.isolation.start == "warm" and not first.done()
    assert (await first).isolation.start == "cold"


async def test_a_first_run_leaves_a_warm_cell_behind_however_it_ends(lab, warm):
    """Whoever comes next finds it, also where the first one failed."""
    command = warm(lab.command("def extract(**_):\n    return 1 / 0\n"))
    me = psutil.Process()
    before = set(me.children())
    first = await lab.run(_may_begin_cold(command))
    assert (first.isolation.start, first.ending) == ("cold", Ending.RAISED)
    async with asyncio.timeout(30):
        while len(set(me.children()) - before) != 1:
            await asyncio.sleep(0.02)


def _may_begin_cold(command):
    return dataclasses.replace(
        command, warmth=dataclasses.replace(command.warmth, may_begin_cold=True)
    )


async def test_the_first_of_several_starts_cold_where_it_may_and_the_others_wait(lab, warm):
    """It would wait for an import that it has done as soon by itself; all of them would not."""
    command = _may_begin_cold(warm(lab.command("def extract(*, job, **_):\n    return 1\n")))
    together = await asyncio.gather(*(lab.run(command) for _ in range(3)))
    starts = Counter(one.isolation.start for one in together)
    assert starts == {"cold": 1, "warm": 2}, [one.isolation.start_reason for one in together]
    assert all(one.value == 1 for one in together)
    assert (await lab.run(command)).isolation.start == "warm"


@pytest.mark.parametrize("patience_s", [0.5, 0.0])  # it imports; its process has yet to start
@pytest.mark.parametrize("has_namespaces", [True, False])
async def test_an_import_that_hangs_does_not_hold_up_the_end(
    lab, warm, world, has_namespaces, patience_s
):
    """It is nobody's any more: a worker that was told to stop waited as long as an import may."""
    sandbox = await Sandbox.open(
        lab.folder / "ends",
        bounds=PoolBounds(preload_s=3600, patience_s=patience_s),
        without_namespaces=not has_namespaces,
    )
    code = "import time\ntime.sleep(3600)\ndef extract(*, job): ...\n"
    command = warm(lab.command(code, interpreter=reachable_copy(world)))
    limits = dataclasses.replace(command.limits, wall_s=3600)
    before = set(psutil.Process().children())
    found = await sandbox.pool.take(dataclasses.replace(command, limits=limits))
    assert isinstance(found, ColdReason) and "still importing" in found.text
    assert bool(set(psutil.Process().children()) - before) == bool(patience_s)
    async with asyncio.timeout(60):
        await sandbox.close()
    assert not [one for one in set(psutil.Process().children()) - before if not is_zombie(one)]


MAPS_MANY = """
import glob, mmap, os
mapped = []  # as long as the run, at whose end it is looked at
def extract(*, job, **_):
    names = glob.glob("/usr/lib/*-linux-gnu/*.so*") + glob.glob("/usr/lib/*-linux-gnu/gconv/*.so")
    for path in sorted(set(map(os.path.realpath, names))):
        try:
            with open(path, "rb") as file:
                mapped.append(mmap.mmap(file.fileno(), 4096, flags=mmap.MAP_PRIVATE,
                                        prot=mmap.PROT_READ | mmap.PROT_EXEC))
        except (OSError, ValueError):
            continue
    return len(mapped)
"""


async def test_libraries_without_end_are_the_first_and_a_count_of_the_others(lab):
    outcome = await lab.run(lab.command(MAPS_MANY))
    assert outcome.ending is Ending.RETURNED, outcome
    if outcome.value <= 200:
        pytest.skip(f"this host shows its cells {outcome.value} libraries, and more are wanted")
    told = outcome.isolation
    assert len(told.host_libraries) <= 200
    # What the interpreter itself has mapped may come on top of ours.
    assert len(told.host_libraries) + told.host_libraries_dropped >= outcome.value


@pytest.mark.parametrize("level", ["namespaced", "unprivileged"])
async def test_nothing_of_a_cold_run_lives_while_its_libraries_are_hashed(
    lab, plain_sandbox, world, level, monkeypatch
):
    """It takes seconds, in which nobody watches limits: a thread took 2.3 GB of 64 MB meanwhile."""
    if level == "unprivileged":
        lab.sandbox = plain_sandbox
    code = """
import threading, time
def extract(*, job, **_):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""
    us, hash_them = psutil.Process(), supervision.hashed
    before, alive = set(us.children(recursive=True)), list[psutil.Process]()

    def hashed(files):
        now = set(us.children(recursive=True)) - before
        alive.extend(one for one in now if one.status() != psutil.STATUS_ZOMBIE)
        return hash_them(files)

    monkeypatch.setattr(supervision, "hashed", hashed)
    outcome = await lab.run(lab.command(code, interpreter=reachable_copy(world)))
    assert outcome.ending is Ending.RETURNED and outcome.isolation.host_libraries, outcome
    assert not alive


@pytest.mark.parametrize("ending", ["raise SystemExit(3)", "time.sleep(60)", "os.close(3)"])
async def test_a_cold_run_ends_as_it_would_while_its_libraries_are_looked_at(lab, ending):
    code = f"import os, time\ndef extract(*, job, **_):\n    {ending}\n"
    command = lab.command(code)
    limits = dataclasses.replace(command.limits, wall_s=1)
    outcome = await lab.run(dataclasses.replace(command, limits=limits))
    if "close" not in ending:
        assert any("libc" in one.path for one in outcome.isolation.host_libraries), outcome
    endings = {"raise": Ending.EXITED, "time.": Ending.OVER_LIMIT, "os.cl": Ending.EXITED}
    assert outcome.ending == endings[ending[:5]], outcome


async def test_each_run_draws_its_own_randomness(lab, warm):
    code = """
    import os, random, tempfile, uuid
    def extract(*, job, **_):
        return [random.random(), str(uuid.uuid4()), tempfile.mktemp(), os.urandom(4).hex()]
    """
    command = warm(lab.command(code), "random", "uuid", "tempfile")
    values = [(await lab.run(command)).value for _ in range(5)]
    for drawn in zip(*values, strict=True):
        assert len(set(drawn)) == 5


@pytest.mark.parametrize(
    ("code", "reason", "word"),
    [
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
            "1 threads running",
            "threads",
        ),
        (
            "import ctypes, threading, time\nNAMED = threading.Event()\ndef work():\n"
            "    ctypes.CDLL(None).prctl(15, b'tidying up')\n    NAMED.set()\n    time.sleep(60)\n"
            "threading.Thread(target=work, daemon=True).start()\nNAMED.wait()",
            "1 threads running (tidying up)",
            "threads",
        ),
        ("HELD = open('/tmp/made', 'w')", "left open: /work/scratch/tmp/made", "open"),
        ("import socket\nHELD = socket.socket(socket.AF_UNIX)", "left open: socket:", "sockets"),
        (
            "import os, time\nif os.fork() == 0:\n    time.sleep(60)\n    os._exit(0)",
            "child processes",
            "processes",
        ),
        (
            "import os\nif os.getpid() and 'preload' not in globals(): raise RuntimeError('not today')",
            "preload failed",
            "failed",
        ),
        ("import os\nos._exit(3)", "ended while it imported", ""),
        ("import time\ntime.sleep(60)", "preload took longer than 1 s", "slow"),
    ],
    ids=["thread", "named-thread", "file", "socket", "child", "raises", "exits", "slow"],
)
async def test_what_is_unfit_to_be_forked_starts_cold_and_says_why(lab, warm, code, reason, word):
    command = warm(lab.command(code + "\ndef extract(*, job, **_): return 1"))
    wall_s = 1 if "took longer" in reason else command.limits.wall_s
    command = dataclasses.replace(
        command, limits=dataclasses.replace(command.limits, wall_s=wall_s)
    )
    outcome = await lab.run(command)
    assert outcome.isolation.start == "cold"
    assert reason in outcome.isolation.start_reason
    assert outcome.isolation.start_word == word
    again = await lab.run(command)
    assert again.isolation.start_reason == outcome.isolation.start_reason


TOO_MUCH_MEMORY = """
import time
held = []
for _ in range(64):
    held.append(bytes(range(256)) * 65536)
    time.sleep(0.05)
def extract(*, job, **_): return 1
"""
TOO_MANY_PROCESSES = """
import os, time
for _ in range(64):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
time.sleep(30)
def extract(*, job, **_): return 1
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (TOO_MUCH_MEMORY, r"preload took \d+ MiB of memory"),
        (TOO_MANY_PROCESSES, r"preload took \d+ processes"),
    ],
)
async def test_an_import_that_takes_too_much_is_ended_where_no_cgroup_does_it(
    lab, warm, code, reason
):
    sandbox = await Sandbox.open(lab.folder / "no-cgroup")
    try:
        sandbox.launcher.leaves.hierarchy = None
        found = await sandbox.pool.take(warm(lab.command(code)))
        assert isinstance(found, ColdReason)
        assert re.fullmatch(reason, found.text)
    finally:
        await sandbox.close()


async def test_each_run_has_a_copy_of_the_files_that_its_import_made(lab, warm):
    code = """
    import os, pathlib, tempfile
    FOLDER = tempfile.mkdtemp()
    CACHE = pathlib.Path.home() / ".cache" / "m"
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "w.bin").write_bytes(b"x" * 70_000)
    (CACHE / "w.bin").chmod(0o640)
    os.symlink("w.bin", CACHE / "link")
    open("/dev/shm/shared", "w").write("s")
    def extract(*, job, **_):
        pathlib.Path(FOLDER, "mine").write_text("y")
        (CACHE / "w.bin").open("a").write("more")
        open("/dev/shm/shared", "a").write("t")
        return [(CACHE / "link").stat().st_size, (CACHE / "w.bin").stat().st_mode & 0o777,
                sorted(os.listdir(FOLDER)), open("/dev/shm/shared").read()]
    """
    command = warm(lab.command(code))
    for outcome in [await lab.run(command) for _ in range(3)]:
        assert outcome.isolation.start == "warm", outcome.isolation.start_reason
        assert outcome.value == [70_004, 0o640, ["mine"], "st"], outcome.failure


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("open('/tmp/big', 'wb').write(bytes(9 << 20))", "more than 8 MiB in files"),
        ("for n in range(501): open('/tmp/%d' % n, 'w')", "more than 500 files"),
        (
            "import os; os.mkfifo('/tmp/fifo')",
            "a socket, a FIFO or a device: /work/scratch/tmp/fifo",
        ),
    ],
    ids=["large", "many", "odd"],
)
async def test_an_import_that_leaves_more_than_forks_get_copies_of_runs_cold(
    lab, warm, code, reason
):
    outcome = await lab.run(warm(lab.command(code + "\ndef extract(*, job, **_): return 1")))
    assert (outcome.value, outcome.isolation.start) == (1, "cold")
    assert reason in outcome.isolation.start_reason


async def test_a_warm_cell_that_dies_between_runs_is_replaced(lab, warm):
    command = warm(lab.command("def extract(*, job, **_): return 1"))
    await lab.run(command)
    kill_warm_cells(lab)
    outcome = await lab.run(command)
    assert outcome.is_ok
    last = await lab.run(command)
    assert last.isolation.start == "warm", last.isolation.start_reason


async def test_a_warm_cell_that_dies_during_a_run_does_not_fail_it(lab, warm):
    code = """
    import time
    def extract(*, job, **_):
        print("ready", flush=True)
        time.sleep(0.5)
        return 1
    """
    running = asyncio.create_task(lab.run(warm(lab.command(code))))
    while {"line": "ready"} not in lab.said("stdout"):
        await asyncio.sleep(0.01)
    kill_warm_cells(lab)
    outcome = await running
    assert outcome.is_ok
    assert outcome.isolation.start_reason == "the warm cell died during the run"


async def test_the_pool_keeps_to_its_number_and_lets_the_least_used_leave(lab, warm):
    pool = small_pool(lab, cells=2)
    commands = [warm(lab.command("def extract(*, job, **_): return 1")) for _ in range(3)]
    for command in commands:
        await give_back(await pool.take(command))
    assert len(pool._entries) == 2
    assert [seat_of(pool, command) is None for command in commands] == [True, False, False]
    await pool.close()


async def test_the_pool_keeps_to_its_memory(lab, warm):
    pool = small_pool(lab, cells=9, memory_mb=1)
    for _ in range(3):
        command = warm(lab.command("def extract(*, job, **_): return 1"))
        await give_back(await pool.take(command))
    await give_back(await pool.take(command))
    assert len(pool._entries) == 1
    await pool.close()


async def test_a_warm_cell_is_renewed_after_so_many_runs_and_nobody_waits_for_it(lab, warm):
    pool = small_pool(lab, runs_per_cell=2)
    command = warm(lab.command("def extract(*, job, **_): return 1"))
    await give_back(await pool.take(command))
    first = entry = seat_of(pool, command)
    runs_beside = 0
    while entry is first:
        has_successor = first.successor is not None
        await give_back(await pool.take(command))
        runs_beside += has_successor and seat_of(pool, command) is first
        entry = seat_of(pool, command)
    assert runs_beside > 0 and first.taken > 2
    while pool._tidying:
        await asyncio.gather(*pool._tidying)
    assert (
        first.started.result().child.ended.done() and not entry.started.result().child.ended.done()
    )
    await pool.close()


async def test_a_successor_that_is_not_needed_any_more_is_ended_with_its_pool(lab, warm):
    pool = small_pool(lab, runs_per_cell=1)
    before = set(psutil.Process().children())
    command = warm(lab.command("def extract(*, job, **_): return 1"))
    for _ in range(2):
        await give_back(await pool.take(command))
    successor = seat_of(pool, command).successor
    await pool.close()
    assert successor.started.done()
    assert not [one for one in set(psutil.Process().children()) - before if not is_zombie(one)]


async def test_a_dead_run_is_reaped_though_no_other_comes(lab, warm):
    pool = small_pool(lab)
    command = warm(lab.command("def extract(*, job, **_): return 1"))
    await give_back(await pool.take(command))
    warm_cell = psutil.Process(seat_of(pool, command).started.result().child.pid)
    async with asyncio.timeout(10):
        while any(is_zombie(process) for process in warm_cell.children(recursive=True)):
            await asyncio.sleep(0.05)
    await pool.close()


def is_zombie(process: psutil.Process) -> bool:
    """Return whether it waits to be reaped; one that was since is none."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_neighbours_of_one_version_do_not_see_each_other(lab, warm):
    code = """
    import os, socket, time
    def extract(*, job, **_):
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.bind(b"\\0meeting-place")
            except OSError:
                return "met"
            sock.listen()
            open("/dev/shm/meeting", "x").close()
            time.sleep(0.3)
            return len([n for n in os.listdir("/proc") if n.isdigit()])
    """
    command = warm(lab.command(code))
    outcomes = await asyncio.gather(*(lab.run(command) for _ in range(4)))
    assert [outcome.value for outcome in outcomes] == [1, 1, 1, 1]


async def test_a_net_namespace_is_used_by_one_run_at_a_time_and_empty_for_each(lab, warm):
    """It is used again, since making one costs more than a run; what is left in it must not be."""
    code = """
    import os, socket, time
    KEPT = []
    def extract(*, job, linger, **_):
        seen = {}
        for table in ("unix", "udp", "udp6", "tcp", "tcp6"):
            with open("/proc/self/net/" + table) as lines:
                seen[table] = len(lines.readlines()) - 1
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            left = socket.socket(socket.AF_UNIX, kind); left.bind("\\0left-" + str(kind)); KEPT.append(left)
            inet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); inet.bind(("", 4000 + kind)); KEPT.append(inet)
        if os.fork() == 0:
            os.setsid(); time.sleep(60)
        time.sleep(linger)
        return [os.readlink("/proc/self/ns/net"), seen]
    """
    command = warm(lab.command(code))
    linger = (0.5, 0.5, *[0] * 6)  # more than there are spares
    runs = [dataclasses.replace(command, arguments={"linger": linger_s}) for linger_s in linger]
    beside = await asyncio.gather(*(lab.run(run) for run in runs[:2]))
    after = [await lab.run(run) for run in runs[2:]]
    assert all(outcome.is_ok and outcome.isolation.start == "warm" for outcome in (*beside, *after))
    assert beside[0].value[0] != beside[1].value[0]
    names = [outcome.value[0] for outcome in (*beside, *after)]
    assert len(set(names)) < len(names)
    for outcome in (*beside, *after):
        assert outcome.value[1] == beside[0].value[1]
        assert sum(count for table, count in outcome.value[1].items() if table != "unix") == 0


async def test_a_net_namespace_in_which_a_run_left_something_is_not_used_again(lab, warm):
    """A flow label outlives its socket by a minute; a socket lives as long as it is on its way."""
    code = """
    import array, os, socket, struct
    def extract(*, job, **_):
        seen = []
        for table in ("unix", "ip6_flowlabel"):
            if os.path.exists("/proc/self/net/" + table):
                with open("/proc/self/net/" + table) as lines:
                    seen += lines.readlines()[1:]
        listener = socket.socket(socket.AF_UNIX); listener.bind("\\0left"); listener.listen()
        if socket.has_ipv6 and os.path.exists("/proc/self/net/if_inet6"):
            label = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            destination = b"\\xfd" + b"left-by-the-run"
            facts = struct.pack("=BBHHHI", 0, 255, 1, 100, 100, 0)
            try:
                label.setsockopt(socket.IPPROTO_IPV6, 32, destination + struct.pack(">I", 7) + facts)
            except OSError:
                pass  # refused: it counted for the whole host, too
        body = ('{"kind":"done","ending":"returned","value":%d}' % len(seen)).encode()
        frame = len(body).to_bytes(4, "big") + body
        socket.socket(fileno=3).sendmsg(
            [frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener.fileno(), 1]))]
        )
        os._exit(0)
    """
    command = warm(lab.command(code))
    outcomes = [await lab.run(command) for _ in range(6)]
    assert [outcome.isolation.start for outcome in outcomes] == ["warm"] * 6
    assert [outcome.value for outcome in outcomes] == [0] * 6


async def test_the_limits_of_a_run_are_its_own_beside_others(lab, warm):
    """Processes of all forks count in the warm cell's user namespace, descriptors are its own."""
    code = """
    import os, time
    def extract(*, job, **_):
        for _ in range(6):
            if os.fork() == 0:
                time.sleep(1)
                os._exit(0)
        time.sleep(0.5)
        return 6
    """
    limits = dataclasses.replace(lab.command("").limits, processes=8, open_files=32)
    command = dataclasses.replace(warm(lab.command(code)), limits=limits)
    outcomes = await asyncio.gather(*(lab.run(command) for _ in range(8)))
    assert [outcome.value for outcome in outcomes] == [6] * 8
    assert {outcome.isolation.start for outcome in outcomes} == {"warm"}


async def test_a_warm_cell_that_ends_before_its_first_fork_is_lost_and_no_fault_of_ours(lab, warm):
    pool = small_pool(lab)
    command = warm(lab.command("def extract(*, job, **_): return 1"))
    entry = pool._entry(_family(command))
    await asyncio.wait((entry.started,))
    entry.started.result().is_retired = True
    with pytest.raises(CellLostError):
        await pool._fork(entry, entry.started.result())
    await pool.close()


async def test_a_seat_is_given_up_once_however_many_find_it_hopeless(lab, warm):
    pool = small_pool(lab)
    command = warm(lab.command("import os\nos.fork = None\ndef extract(*, job, **_): return 1"))
    await give_back(await pool.take(command))
    (family, entry), *_ = pool._entries.items()
    for _ in range(3):
        pool._retire(family, entry, unfit=ColdReason("hopeless"))
    assert len(pool._tidying) == 1
    assert (await pool.take(command)) == ColdReason("hopeless")
    await pool.close()


async def test_a_cell_that_gets_no_cgroup_leaves_no_descriptor_behind(lab, warm):
    class Exhausted:
        def leaf(self, name, limits):
            raise OSError(24, "Too many open files")

    sandbox = await Sandbox.open(lab.folder / "exhausted")
    try:
        sandbox.launcher.leaves.hierarchy = Exhausted()
        command = lab.command("def extract(*, job, **_): return 1")
        before = open_descriptors()
        for each in (command, warm(command)) * 3:
            with pytest.raises(SandboxError):
                await sandbox.run(each, outputs_to=lab.outputs, observe=lambda _: None)
        assert open_descriptors() == before
    finally:
        await sandbox.close()


async def test_hundreds_of_runs_leave_nothing_behind(lab, warm):
    command = warm(lab.command("def extract(*, job, **_): return 1"))
    await lab.run(command)
    descriptors = open_descriptors()
    processes = len(psutil.Process().children(recursive=True))
    for _ in range(300):
        outcome = await lab.run(command)
        assert outcome.ending is Ending.RETURNED
    assert (open_descriptors() - descriptors).total() <= 40  # a spare that is being born, leaves
    assert len(psutil.Process().children(recursive=True)) <= processes + 2


def open_descriptors() -> Counter[str]:
    """Count what is open, by kind; a spare that is being born may hold a few."""
    kinds = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            kinds.append(os.readlink(f"/proc/self/fd/{name}").partition(":")[0])
    return Counter(kinds)


def small_pool(lab, **bounds) -> Pool:
    return Pool(
        launcher=lab.sandbox.launcher,
        bounds=PoolBounds(spares=0, **bounds),
    )


async def give_back(taken) -> None:
    assert isinstance(taken, Cell), taken
    await taken.close()


def seat_of(pool: Pool, command):
    found = [
        entry for key, entry in pool._entries.items() if key.command.folders == command.folders
    ]
    return found[0] if found else None


def kill_warm_cells(lab) -> None:
    for entry in lab.sandbox.pool._entries.values():
        warm_cell = entry.started.result() if entry.started.done() else None
        if isinstance(warm_cell, WarmCell) and warm_cell.is_alive:
            os.kill(warm_cell.child.pid, signal.SIGKILL)
