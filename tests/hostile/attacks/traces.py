"""Attacks by one run on the next: what is left behind, and what the next one finds."""

import builtins
import ctypes
import locale
import os
import random
import resource
import signal
import socket
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
NOTES = []
KEY = 0x5F4D


def leave(*, job, **_):
    """Leave a trace of every kind."""
    NOTES.append("poison")
    builtins.poison = "poison"
    sys.modules["poison"] = sys
    os.environ["POISON"] = "poison"
    os.umask(0o777)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))
    random.seed(1)
    for folder in ("/tmp", "/dev/shm", str(job.scratch_dir), str(job.output_dir)):
        with open(folder + "/trace-of-poison", "w") as file:
            file.write("poison")
    left = {"shm": libc.shmget(KEY, 4096, 0o1666) >= 0}
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(b"\0trace-of-poison")
    listener.listen()
    os.set_inheritable(listener.fileno(), True)
    if os.fork() == 0:
        os.setsid()
        time.sleep(30)
        os._exit(0)
    try:
        locale.setlocale(locale.LC_ALL, "C")
        time.tzset()
    except locale.Error:
        pass
    return left


def find(*, job, **_):
    """Return every trace that is still to be found."""
    found = []
    found += ["module state"] if NOTES else []
    found += ["builtins"] if hasattr(builtins, "poison") else []
    found += ["modules"] if "poison" in sys.modules else []
    found += ["environment"] if "POISON" in os.environ else []
    found += ["umask"] if os.umask(0o022) == 0o777 else []
    found += ["handler"] if signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN else []
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    found += ["signal mask"] if signal.SIGUSR2 in blocked else []
    found += ["rlimit"] if resource.getrlimit(resource.RLIMIT_STACK)[1] == 1 << 20 else []
    for folder in ("/tmp", "/dev/shm", str(job.scratch_dir), str(job.output_dir)):
        found += [folder] if os.path.exists(folder + "/trace-of-poison") else []
    found += ["System V memory"] if libc.shmget(KEY, 4096, 0) >= 0 else []
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(b"\0trace-of-poison")
            found.append("abstract socket")
    except OSError:
        pass
    return found


def draw(*, job, **_):
    """Return what ought to differ between any two runs."""
    import uuid

    return [random.random(), str(uuid.uuid4()), os.urandom(4).hex()]


def crash_a_child(*, job, **_):
    """Crash with each limit that one may ask for; the kernel says whether it dumped."""
    limits, dumped = [], False
    for asked in (0, 1, resource.RLIM_INFINITY):
        pid = os.fork()
        if pid == 0:
            try:
                resource.setrlimit(resource.RLIMIT_CORE, (asked, asked))
            finally:
                os.abort()
        dumped = os.WCOREDUMP(os.waitpid(pid, 0)[1]) or dumped
        limits.append(list(resource.getrlimit(resource.RLIMIT_CORE)))
    return {"worked": dumped, "limits": limits}


def crash_oneself(*, job, **_):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()
