"""A fork of a warm cell: as walled as a cold cell, and as good as a fresh Python."""

import errno
import os
import subprocess

import pytest

from sandbox.inside.kernel.syscall_batch import Batch
from sandbox.kernel import procfs

CONDITION = """
import os, resource, signal, sys

STATUS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Gid")

def extract(*, job, **_):
    with open("/proc/self/status") as status:
        said = dict(line.rstrip("\\n").split(":\\t", 1) for line in status)
    mounts = {}
    with open("/proc/self/mounts") as listing:
        for line in listing:
            _, place, kind, options = line.split()[:4]
            mounts[place] = [kind, sorted(o for o in options.split(",") if "=" not in o)]
    limits = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {
        "status": {name: said[name] for name in STATUS},
        "mounts": {place: mounts[place] for place in ("/", "/work", "/proc")},
        "scratch": [sorted(os.listdir("/scratch")), os.stat("/scratch/tmp").st_mode],
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in limits},
        "process": [os.getpid(), os.getsid(0), os.getcwd(), sorted(map(str, signal.pthread_sigmask(0, ())))],
        "descriptors": sorted(os.listdir("/proc/self/fd")),
        "inputs": [path.read_text() for path in job.inputs],
        "devices": [device(name) for name in ("null", "zero", "full")],
        "executable": sys.executable,
    }

def device(name):
    with open("/dev/" + name, "r+b", buffering=0) as opened:
        try:
            return [opened.write(b"x"), len(opened.read(4))]
        except OSError as fault:
            return fault.errno
"""


async def test_a_fork_is_in_the_condition_of_a_cold_cell(lab, warm):
    """Session, limits, mounts, ids, capabilities, descriptors and devices are the same."""
    command = lab.command(CONDITION, inputs=(lab.input("a.txt", "hello"),))
    cold, forked = await lab.run(command), await lab.run(warm(command))
    assert cold.is_ok and forked.is_ok, (cold.failure, forked.failure)
    assert (cold.isolation.start, forked.isolation.start) == ("cold", "warm")
    assert forked.value["inputs"] == ["hello"]
    for part, found in forked.value.items():
        if part not in {"process", "devices"}:
            assert found == cold.value[part], part
    pid, session, folder, mask = forked.value["process"]
    assert (pid, session, folder, mask) == (1, 1, "/work/scratch", [])
    assert forked.value["devices"] == [[1, 0], [1, 4], errno.ENOSPC]
    assert set(forked.value["status"].values()) >= {"0000000000000000", "1", "2"}
    assert forked.value["status"]["CapBnd"] == "0000000000000000"


async def test_what_the_import_made_can_be_replaced_and_dropped_in_a_run(lab, warm):
    """Code of the import lasts; objects of its own are still counted and finalised."""
    code = """
    import gc, sys, weakref
    DROPPED = []
    class Thing:
        def __del__(self): DROPPED.append("thing")
    thing, table, words = Thing(), {"a": Thing()}, ["x" * 1000]
    def helper(): return 1
    def extract(*, job, **_):
        global thing, helper, Thing
        gone = weakref.ref(thing)
        thing = None
        table.clear()
        words.append(helper())
        def helper(): return 2
        helper.__doc__, Thing = "new", int
        return [DROPPED, gone() is None, words[1:], helper(), Thing("7")]
    """
    command = warm(lab.command(code))
    for _ in range(2):
        outcome = await lab.run(command)
        assert outcome.isolation.start == "warm"
        assert outcome.value == [["thing", "thing"], True, [1], 2, 7]


async def test_a_long_run_gives_back_what_it_made(lab, warm):
    """Objects that last for ever are those of the import: a run's own come and go."""
    code = """
    import resource
    def extract(*, job, **_):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(200):
            exec(compile("def made(): return %r" % ("x" * 100_000), "made", "exec"), {})
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    """
    assert (await lab.run(warm(lab.command(code)))).value < 8 * 1024


def test_a_script_stops_at_the_first_call_that_is_refused(tmp_path):
    script = Batch()
    script.add("mkdirat", -100, os.fsencode(tmp_path / "first"), 0o700)
    script.add("chdir", os.fsencode(tmp_path / "nowhere"))
    script.add("mkdirat", -100, os.fsencode(tmp_path / "second"), 0o700)
    with pytest.raises(OSError, match="chdir: No such file or directory") as refused:
        script.play()
    assert refused.value.errno == errno.ENOENT
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


def test_a_script_makes_another_call_instead_where_it_has_one(tmp_path):
    script = Batch()
    nowhere = os.fsencode(tmp_path / "no" / "where")
    made = os.fsencode(tmp_path / "made")
    script.add("mkdirat", -100, nowhere, 0o700, instead=(-100, made, 0o700))
    last = script.add("mkdirat", -100, nowhere, 0o700)
    script.change(last, 1, os.fsencode(tmp_path / "last"))
    script.play()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "made"]
    with pytest.raises(OSError, match="mkdirat: No such file"):
        script.play()  # now the other call is refused as well


LAZY_SETTINGS = """
class Settings:
    @property
    def __class__(self): raise RuntimeError("not configured yet")
settings = Settings()
def extract(*, job, **_): return 1
"""
CLASS_WITHOUT_A_HASH = """
class Meta(type):
    def __eq__(self, other): return self is other
class Thing(metaclass=Meta): pass
thing = Thing()
thing.itself = thing
def extract(*, job, **_): return 1
"""


@pytest.mark.parametrize("code", [LAZY_SETTINGS, CLASS_WITHOUT_A_HASH])
async def test_objects_that_refuse_questions_do_not_end_their_warm_cell(lab, warm, code):
    assert (await lab.run(warm(lab.command(code)))).isolation.start == "warm"


async def test_code_lasts_where_an_old_extension_has_counted_none(lab, warm):
    """Extensions for the stable ABI of 3.11 or older add to the whole of its count."""
    code = """
    import ctypes, sys
    ctypes.c_ssize_t.from_address(id(None)).value += 100_000
    def helper(): return None
    def extract(*, job, **_):
        before = sys.getrefcount(helper)
        more = [helper] * 1000
        return sys.getrefcount(helper) - before
    """
    outcome = await lab.run(warm(lab.command(code)))
    assert (outcome.isolation.start, outcome.value) == ("warm", 0), outcome.failure


async def test_what_a_package_does_in_each_fork_is_done_behind_the_walls(lab, warm):
    """Functions of os.register_at_fork run in every fork, and may start threads, which keep
    the privileges that they begin with."""
    code = """
    import os, threading
    begun, seen = threading.Event(), []
    def look():
        begun.wait()
        with open("/proc/thread-self/status") as status:
            said = dict(line.rstrip("\\n").split(":\\t", 1) for line in status)
        seen.extend([said["CapEff"], said["CapBnd"], said["Seccomp_filters"]])
    def start():
        global thread
        thread = threading.Thread(target=look)
        thread.start()
    os.register_at_fork(after_in_child=start)
    def extract(*, job, **_):
        begun.set()
        thread.join()
        return seen
    """
    outcome = await lab.run(warm(lab.command(code)))
    assert outcome.isolation.start == "warm"
    assert outcome.value == ["0000000000000000", "0000000000000000", "1"], outcome.failure


async def test_an_import_that_closes_a_standard_stream_is_not_forked(lab, warm):
    """The numbers of a fork's descriptors are foreseen from what is open before it."""
    code = """
    import os
    os.close(0)
    def extract(*, job, **_): return 1
    """
    outcome = await lab.run(warm(lab.command(code)))
    assert (outcome.value, outcome.isolation.start) == (1, "cold")
    assert outcome.isolation.start_reason == "preload closed a standard stream"


async def test_the_c_library_knows_the_first_thread_of_a_fork(lab, warm):
    """It notes the ids of threads, and names this one to the kernel for pthread_kill(3) too."""
    code = """
    import threading, time
    def extract(*, job, **_):
        clock = time.pthread_getcpuclockid(threading.get_ident())
        return time.clock_gettime(clock) > 0
    """
    outcome = await lab.run(warm(lab.command(code)))
    assert (outcome.isolation.start, outcome.value) == ("warm", True), outcome.failure


async def test_a_process_that_a_run_has_forked_ends_at_sigterm(lab, warm):
    """multiprocessing.Pool ends its workers so: they raised, and some held a lock for ever."""
    code = """
    import os, signal, time
    def extract(*, job, **_):
        ready, begun = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(begun, b"x")
            while True: time.sleep(1)
        os.read(ready, 1)
        os.kill(pid, signal.SIGTERM)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    """
    command = lab.command(code)
    for outcome in (await lab.run(command), await lab.run(warm(command))):
        assert outcome.value == -15, outcome.failure


async def test_programs_of_a_run_are_bound_as_anywhere_else(lab, warm):
    """One that lacks a function which it never calls starts, unless LD_BIND_NOW is set."""
    code = """
    import os, subprocess, sys
    def extract(*, job, **_):
        told = "import os; print('LD_BIND_NOW' in os.environ)"
        said = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True)
        return ["LD_BIND_NOW" in os.environ, said.stdout]
    """
    command = lab.command(code)
    for outcome in (await lab.run(command), await lab.run(warm(command))):
        assert outcome.value == [False, "False\n"]


def test_the_namespaces_of_a_process_that_ends_are_not_taken_for_ours():
    """What a first fork has is told of all forks of its warm cell: it has to be the whole."""
    with subprocess.Popen(("true",)) as ending:
        os.waitid(os.P_PID, ending.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ProcessLookupError, match="has no mnt namespace"):
            procfs.own_namespaces(ending.pid)
    assert procfs.own_namespaces(os.getpid()) == ()
