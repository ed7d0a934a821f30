"""Ways from job to job that got through once, each as small as it can be.

An import that answers for the kernel, so that two jobs meet in one net namespace; what the kernel
tells of groups a moment after a run; what has been read of files that everybody sees.
"""

import asyncio

import pytest

NAMESPACED = pytest.mark.parametrize("level", ["namespaced"])
LEVELS = pytest.mark.parametrize("level", ["namespaced", "unprivileged"])

FAKED = """
import ctypes, os, socket, struct, sys, time
def fake(number, argument, value):  # the call says "done", and is not made: SECCOMP_RET_ERRNO of 0
    lines = ((0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16 + 8 * argument),
             (0x15, 0, 1, value), (6, 0, 0, 0x50000), (6, 0, 0, 0x7FFF0000))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in lines))
    wanted = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(program))
    ctypes.CDLL(None).syscall(317, 1, 0, wanted)
if any("_inside.warm." in name for name in sys.modules):
    fake(272, 0, 0x40000000)  # unshare(CLONE_NEWNET), which the warden has the held process make
    fake(308, 1, 0x40000000)  # setns(..., CLONE_NEWNET)
    fake(446, 1, 0)           # landlock_restrict_self(..., 0), of the forks
def extract(*, job, tells, **_):
    own = [path.read_text() for path in job.inputs]
    door = socket.socket(socket.AF_UNIX)
    if tells:
        door.bind(b"\\0meet")
        door.listen()
        door.settimeout(2)
        try:
            other, _ = door.accept()
        except TimeoutError:
            return {"own": own}
        places = os.path.dirname(job.inputs[0]), job.output_dir
        socket.send_fds(other, [b"."], [os.open(place, os.O_RDONLY) for place in places])
        time.sleep(0.5)
        return {"own": own}
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        try:
            door.connect(b"\\0meet")
        except OSError:
            time.sleep(0.05)
            continue
        _, (inputs, outputs), _, _ = socket.recv_fds(door, 1, 2)
        os.close(os.open("planted", os.O_WRONLY | os.O_CREAT, dir_fd=outputs))
        return {"got": os.read(os.open("in.txt", os.O_RDONLY, dir_fd=inputs), 99).decode()}
    return {"got": ""}
"""

MULTICAST = """
import socket, struct, time
def sent():
    lines = dict(line.split() for line in open("/proc/net/snmp6"))
    return int(lines["Ip6OutMcastOctets"]), int(lines["Ip6OutMcastPkts"])
KEPT = []
def extract(*, job, say, **_):
    if say >= 0:  # left at its end, which the kernel reports a moment later, when others run
        KEPT.append(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        for group in range(say + 1):
            address = b"\\xff\\x05" + bytes(10) + group.to_bytes(4, "big")
            KEPT[0].setsockopt(41, 20, struct.pack("16sI", address, 1))
        return say
    end = time.monotonic() + 1.5
    while time.monotonic() < end and not sent()[1]:
        time.sleep(0.03)
    octets, packets = sent()
    return (octets - 56 * packets) // 20 - 1
"""

PROCESSES = """
import os, sys
inside = {name.rpartition(".")[2]: module for name, module in sys.modules.items()
          if "_inside." in name}
script = getattr(inside.get("fork_script"), "ForkScript", None)
if script:
    mount = script._mount
    def patched(self, setup):
        add = self._add
        PATCH
    script._mount = patched
def extract(*, job, say, **_):
    for _ in range(say):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    return os.readlink("PLACE/self") if os.path.lexists("PLACE/self") else "1"
"""
"""What a run sees of /proc is its fork's to mount, by a script that an import can rewrite."""

NOT_MOUNTED = """
        is_proc = lambda one: one[:2] == (b"proc", b"/proc")
        self._add = lambda *one, **more: None if is_proc(one[1:]) else add(*one, **more)
        mount(self, setup)
        self._add = add
"""
KEPT_ELSEWHERE = """
        add("mount", b"/proc", b"/usr/share/zoneinfo", b"", 4096 | 16384)
        mount(self, setup)
"""
MOVED_BACK = """
        add("mount", b"/proc", b"/usr/share/zoneinfo", b"", 4096)
        mount(self, setup)
        add("mount", b"/usr/share/zoneinfo", b"/proc", b"", 8192)
"""

PAGE_CACHE = """
import os, sys
PLACE = max((os.path.join(folder, name) for folder, _, names in os.walk(sys.prefix + "/lib")
             for name in names if not os.path.islink(os.path.join(folder, name))
             and name.endswith(".a")), key=os.path.getsize, default=sys.executable)
PAGE = 4096
def is_there(fd, page):
    try:
        return os.preadv(fd, [bytearray(1)], page * PAGE, os.RWF_NOWAIT) == 1
    except BlockingIOError:
        return False
def extract(*, job, say, **_):
    fd = os.open(PLACE, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    if say:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        for at in range(8 * len(say)):
            if say.encode()[at // 8] >> at % 8 & 1:
                os.pread(fd, 1, at * PAGE)
        return ""
    return bytes(sum(is_there(fd, 8 * at + bit) << bit for bit in range(8))
                 for at in range(12)).decode("latin-1")
"""


@NAMESPACED
@pytest.mark.parametrize(
    ("patch", "place"),
    [(NOT_MOUNTED, "/proc"), (KEPT_ELSEWHERE, "/usr/share/zoneinfo"), (MOVED_BACK, "/proc")],
    ids=["not mounted", "kept elsewhere", "moved back"],
)
async def test_a_run_does_not_count_the_processes_of_those_before_it(
    level: str, patch: str, place: str, attack
):
    code = PROCESSES.replace("PATCH", patch.strip()).replace("PLACE", place)
    outcomes = [await attack(code, say=say) for say in (0, 20, 0)]
    assert all(one.is_ok for one in outcomes), outcomes
    assert len({one.value for one in outcomes}) == 1, outcomes


@NAMESPACED
async def test_two_jobs_at_once_meet_in_no_net_namespace(level: str, attack):
    told, took = await asyncio.gather(attack(FAKED, tells=True), attack(FAKED, tells=False))
    assert took.value == {"got": ""}, took
    assert not told.outputs


@NAMESPACED
async def test_the_next_job_hears_nothing_of_what_the_kernel_reports_late(level: str, attack):
    await attack(MULTICAST, say=0)
    heard = []
    for number in (513, 77, 1000):
        await attack(MULTICAST, say=number)
        heard.append((await attack(MULTICAST, say=-1)).value)
    assert not {513, 77, 1000} & set(heard), heard


@LEVELS
@pytest.mark.xdist_group("page cache")  # the interpreters of both are links to the same files
async def test_the_page_cache_says_nothing_to_another_package(level: str, attack):
    await attack(PAGE_CACHE, is_warm=False, say="secret-of-it")
    other = await attack("# another package\n" + PAGE_CACHE, say="")
    assert other.value != "secret-of-it"


PROGRAMS = """
import ctypes, os, socket, struct
def extract(*, job, **_):
    program = struct.pack("HBBI", 0x94, 0, 0, 7) * 4095 + struct.pack("HBBI", 6, 0, 0, 0xFFFF)
    held = ctypes.create_string_buffer(program)
    wanted = struct.pack("HxxxxxxQ", 4096, ctypes.addressof(held))
    taken = []
    for name in (26, 51):  # SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF
        try:
            socket.socketpair()[0].setsockopt(1, name, wanted)
            taken.append(name)
        except OSError:
            continue
    return taken
"""


@LEVELS
@pytest.mark.parametrize("start", ["cold", "warm"])
async def test_no_program_is_compiled_for_a_socket(level: str, start: str, attack):
    """It is counted for nobody, and whoever uses up the host's share lets no cell start."""
    outcome = await attack(PROGRAMS, is_warm=start == "warm")
    assert outcome.value == [], outcome
