"""What a fork of a patched runner, or a process that is held, did once: each was found from outside.

An import can rewrite the script by which its forks become runs, and the code at which it is held.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from support.interpreters import reachable_copy

from sandbox.command import Level
from sandbox.sandbox import Sandbox

NAMESPACED = pytest.mark.parametrize("level", ["namespaced"])
UNPRIVILEGED = pytest.mark.parametrize("level", ["unprivileged"])
LEVELS = pytest.mark.parametrize("level", ["namespaced", "unprivileged"])

PATCHED = """
import os, sys
inside = {name.rpartition(".")[2]: module for name, module in sys.modules.items()
          if "_inside." in name}
script = getattr(inside.get("fork_script"), "ForkScript", None)
def without(unwanted, method):
    real = getattr(script, method)
    def patched(self, setup):
        add = self._add
        self._add = lambda *one, **more: None if one[0] == unwanted else add(*one, **more)
        real(self, setup)
        self._add = add
    setattr(script, method, patched)
def before(method, *calls):
    real = getattr(script, method)
    def patched(self, setup):
        for call in calls:
            self._add(*call)
        real(self, setup)
    setattr(script, method, patched)
if script:
    PATCH
def extract(*, job, **_):
    return 1
"""
PATCHES = {
    "a session of others": "without('setsid', '_become_a_process')",
    "not where its inputs are": (
        "before('_mount', ('chdir', b'/proc')); without('chdir', '_mount')\n"
        "    script._show_inputs = lambda *_: None"
    ),
    "it has a devpts": (
        "before('_mount', ('mount', b'devpts', b'/usr/share/zoneinfo', b'devpts', 0, b''))"
    ),
    "it has a tmpfs": (
        "before('_mount', ('mount', b'tmpfs', b'/usr/share/zoneinfo', b'tmpfs', 0, b'size=4k'))"
    ),
    "mounted more than anybody would read": (
        "before('_mount', *900 * ["
        "('mount', b'tmpfs', b'/usr/share/zoneinfo', b'tmpfs', 0, b'size=4k')])"
    ),
}

SIBLING = """
import ctypes, os, sys, time
script = next((module for name, module in sys.modules.items()
               if "_inside." in name and name.endswith("fork_script_on_host")), None)
if script:
    class Channel(script.Channel):
        def send(self, message):  # a child of the warden says the hello, and is looked at
            if message.get("kind") != "hello":
                return super().send(message)
            if ctypes.CDLL(None).syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0:
                super().send(message)
                time.sleep(60)
                os._exit(0)
    script.Channel = Channel
def extract(*, job, **_):
    end = time.process_time() + 3
    while time.process_time() < end:
        pass
    return "spent"
"""

SPARE = """
import os, sys, time
inside = {name.rpartition(".")[2]: module for name, module in sys.modules.items()
          if "_inside." in name}
script = getattr(inside.get("fork_script"), "ForkScript", None)
if script:
    def say(self):  # and wait for nobody
        self._hello = inside["fork_script"].framed({"kind": "hello"})
        self._add("write", 3, self._hello, len(self._hello))
    script._say_hello = say
    play = script.play
    def patched(self):
        play(self)
        import select
        time.sleep(0.1)
        if not select.select([3], [], [], 0.3)[0]:  # nobody has a run for it
            end = time.monotonic() + 8
            while time.monotonic() < end:
                pass
    script.play = patched
def extract(*, job, **_):
    time.sleep(0.2)
    return 1
"""

SIGNALS = """
import ctypes, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)
def extract(*, job, is_hog, **_):
    if is_hog:
        signal.pthread_sigmask(signal.SIG_BLOCK, {40})
        while libc.sigqueue(os.getpid(), 40, None) == 0:
            pass
        time.sleep(1)
        return 0
    return [libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p())) for _ in range(20)]
"""

SPENDING = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        end = time.process_time() + 0.9
        while time.process_time() < end:
            pass
        os._exit(0)
for _ in range(4):
    os.wait()
def extract(*, job, **_):
    return 1
"""

CHAIN = """
import os, time
def extract(*, job, **_):
    for _ in range(200):  # each is gone before anybody looks
        if os.fork() == 0:
            end = time.process_time() + 0.012
            while time.process_time() < end:
                pass
            os._exit(0)
        os.wait()
    return 1
"""

RESTARTED = """
import ctypes, mmap, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
SHARED, SIGNATURE, SETNS = 0x100000000000, 0x53053053, 308
q = lambda value: struct.pack("<Q", value & (2**64 - 1))
def arm(forking):
    thread = ctypes.c_ulong()
    libc.syscall(158, 0x1003, ctypes.byref(thread))  # arch_prctl(ARCH_GET_FS)
    try:
        area = thread.value + ctypes.c_ssize_t.in_dll(libc, "__rseq_offset").value
        size = ctypes.c_uint.in_dll(libc, "__rseq_size").value
    except ValueError:
        size = 0
    page = mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 7)
    base = ctypes.addressof(ctypes.c_char.from_buffer(page))
    if not size:
        area = (base + 4096 + 31) & ~31
        libc.syscall(334, ctypes.c_void_p(area), 32, 0, SIGNATURE)
    section = base + 2048
    def be_forked(begin, have_again, *, id_place):
        place = 0 if id_place is None else ctypes.addressof(id_place._obj)
        code = b"\\x48\\xb8" + q(area + 8) + b"\\x48\\xb9" + q(section)  # rax: rseq_cs, rcx: mine
        code += b"\\x48\\xc7\\xc7\\xff\\xff\\xff\\xff\\x31\\xf6\\x31\\xd2"  # rdi -1, rsi 0, rdx 0
        code += b"\\x49\\xba" + q(place) + b"\\x49\\xb8" + q(place)  # r10, r8
        code += b"\\x48\\x89\\x08\\xb8" + struct.pack("<I", SETNS)  # armed
        at = len(code)
        code += b"\\x0f\\x05\\xc3" + struct.pack("<I", SIGNATURE)  # the call; return
        again = len(code)
        code += b"\\x50\\x57\\x56\\x52\\x41\\x52\\x41\\x50\\x41\\x51\\xb8\\x09\\x00\\x00\\x00"
        code += b"\\x48\\xbf" + q(SHARED) + b"\\xbe\\x00\\x10\\x00\\x00\\xba\\x03\\x00\\x00\\x00"
        code += b"\\x41\\xba\\x31\\x00\\x00\\x00\\x49\\xc7\\xc0\\xff\\xff\\xff\\xff\\x4d\\x31\\xc9\\x0f\\x05"
        code += b"\\x41\\x59\\x41\\x58\\x41\\x5a\\x5a\\x5e\\x5f\\x58"  # a shared page is mapped
        code += b"\\xeb" + struct.pack("b", at - (len(code) + 2))
        page[: len(code)] = code
        page[2048:2080] = struct.pack("<IIQQQ", 0, 0, base + at, 2, base + again)
        forking._before_fork()
        if ctypes.PYFUNCTYPE(ctypes.c_long)(base)() != 0:
            os._exit(71)
        begin()
        have_again()
        forking._after_fork_in_child()
    forking.be_forked = be_forked
    return page
KEPT = [arm(module) for name, module in list(sys.modules.items())
        if "_inside." in name and name.endswith(".forking")]
def extract(*, job, leaves, **_):
    _, write = os.pipe()
    if libc.write(write, ctypes.c_void_p(SHARED), ctypes.c_size_t(1)) != 1:
        return ""
    got = ctypes.string_at(SHARED, 64).rstrip(b"\\0").decode()
    if leaves:
        text = job.inputs[0].read_bytes()
        ctypes.memmove(SHARED, text, len(text))
    return got
"""
"""The kernel goes on in a restartable sequence (rseq(2)) when it comes back to a held process."""


@pytest.fixture(scope="module")
async def uncounted(world: Path) -> AsyncIterator[Sandbox]:
    """A sandbox of a host without cgroups."""
    opened = await Sandbox.open(
        world / "cells-uncounted", grace_s=0.5, interpreter=reachable_copy(world)
    )
    if opened.hierarchy is not None:
        opened.hierarchy.remove()
        opened.hierarchy = opened.launcher.leaves.hierarchy = None
        opened.level = Level.NO_CGROUP if opened.level is Level.FULL else opened.level
    yield opened
    await opened.close()


@NAMESPACED
@pytest.mark.parametrize("why", PATCHES)
async def test_a_fork_that_is_not_as_it_was_ordered_has_no_run(level: str, why: str, attack):
    outcome = await attack(PATCHED.replace("PATCH", PATCHES[why]))
    assert outcome.is_ok
    assert outcome.isolation.start == "cold"
    assert why in outcome.isolation.start_reason, outcome.isolation.start_reason


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="its code is for x86-64")
@LEVELS
async def test_a_held_process_runs_no_code_of_a_package(level: str, attack):
    outcomes = [await attack(RESTARTED, leaves=leaves) for leaves in (True, False)]
    assert [one.isolation.start for one in outcomes] == ["warm", "warm"], outcomes
    assert [one.value for one in outcomes] == ["", ""]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="its number of a call is of x86-64")
@UNPRIVILEGED
async def test_nobody_says_the_hello_of_a_run_in_another_cgroup(level: str, attack):
    outcome = await attack(SIBLING, limits={"cpu_s": 1})
    assert outcome.failure is not None and outcome.failure.limit == "cpu_s", outcome


@NAMESPACED
async def test_a_fork_that_nobody_has_a_run_for_does_nothing(level: str, attack):
    assert (await attack(SPARE)).is_ok
    await asyncio.sleep(0.6)
    before = _spent_s()
    await asyncio.sleep(1)
    assert _spent_s() - before < 0.5


def _spent_s() -> float:
    """Return the processor seconds of all processes below us that are there."""
    spent = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        spent += times.user + times.system
    return spent


@NAMESPACED
async def test_signals_that_wait_are_counted_for_each_run(level: str, attack):
    await attack(SIGNALS, is_hog=False)
    hog = asyncio.create_task(attack(SIGNALS, is_hog=True))
    await asyncio.sleep(0.5)
    assert (await attack(SIGNALS, is_hog=False)).value == [0] * 20
    assert (await hog).is_ok


@LEVELS
async def test_an_import_takes_no_more_of_the_processors_than_its_limit(level: str, attack):
    started = time.monotonic()
    outcome = await attack(SPENDING, limits={"cpu_s": 1})
    assert outcome.failure is not None and outcome.failure.limit == "cpu_s", outcome
    assert "of processors" in outcome.isolation.start_reason
    assert time.monotonic() - started < 60


@UNPRIVILEGED
async def test_a_run_does_not_pay_for_the_runs_before_it(level: str, attack, world: Path):
    """Its warden waits for all of them, and is what the watchdog begins at without namespaces."""
    opened = await Sandbox.open(
        world / "cells-unwalled",
        grace_s=0.5,
        without_namespaces=True,
        interpreter=reachable_copy(world),
    )
    if opened.hierarchy is not None:
        opened.hierarchy.remove()
        opened.hierarchy = opened.launcher.leaves.hierarchy = None
    code = "import time\ndef extract(*, job, **_):\n    end = time.process_time() + 0.6\n"
    code += "    while time.process_time() < end: pass\n"
    try:
        for _ in range(4):
            outcome = await attack(code, sandbox_of=opened, limits={"cpu_s": 1.5})
            assert outcome.is_ok and outcome.isolation.start == "warm", outcome
    finally:
        await opened.close()


@NAMESPACED
@pytest.mark.parametrize("is_warm", [False, True])
async def test_what_runs_take_without_a_cgroup_is_told(
    level: str, attack, uncounted: Sandbox, *, is_warm: bool
):
    code = "import time\ndef extract(*, job, **_):\n    end = time.process_time() + 0.6\n"
    code += "    while time.process_time() < end: pass\n"
    outcome = await attack(code, is_warm=is_warm, sandbox_of=uncounted)
    assert outcome.is_ok and outcome.usage.cpu_ms >= 500, outcome
    outcome = await attack(CHAIN, is_warm=is_warm, sandbox_of=uncounted, limits={"cpu_s": 1})
    assert outcome.failure is not None and outcome.failure.limit == "cpu_s", outcome
