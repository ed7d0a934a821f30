"""Attacks on other processes, and on the end of one's own."""

import ctypes
import os
import signal
import time

libc = ctypes.CDLL(None, use_errno=True)


def ignore_sigterm(*, job, **_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(job.patience_s)
    return {"worked": True}


def daemon(*, job, **_):
    """Double-fork out of the session; the test looks whether it lives on."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.close(read)
            os.execv(job.sleeper[0], [*job.sleeper, job.mark])
        os._exit(0)
    os.close(write)
    os.read(read, 1)
    return {"worked": True}


def stopped_child(*, job, **_):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.kill(os.getpid(), signal.SIGSTOP) if os.getpid() != 1 else None
        os.execv(job.sleeper[0], [*job.sleeper, job.mark])
    sleeper = os.fork()
    if sleeper == 0:
        os.execv(job.sleeper[0], [*job.sleeper, job.mark])
    time.sleep(0.1)
    os.kill(sleeper, signal.SIGSTOP)
    return {"worked": True}


def signal_deaf_child(*, job, **_):
    if os.fork() == 0:
        for number in range(1, 32):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                continue
        os.execv(job.sleeper[0], [*job.sleeper, job.mark])
    time.sleep(0.1)
    return {"worked": True}


def kill_everybody(*, job, **_):
    """kill(-1) in all but name: signal 0 tells whom it would hit, and harms nobody."""
    try:
        os.kill(job.victim, 0)
    except OSError as fault:
        return {"worked": False, "why": str(fault)}
    return {"worked": True}


def kill_parent(*, job, **_):
    parent = os.getppid()
    if parent == 0:
        return {"worked": False, "why": "no parent in sight"}
    os.kill(parent, 0)
    return {"worked": parent == job.worker}


def ptrace_victim(*, job, **_):
    attach, detach = 16, 17
    if libc.ptrace(attach, job.victim, 0, 0) != 0:
        return {"worked": False, "why": os.strerror(ctypes.get_errno())}
    os.waitpid(job.victim, 0)
    libc.ptrace(detach, job.victim, 0, 0)
    return {"worked": True}


def ptrace_own_child(*, job, **_):
    pid = os.fork()
    if pid == 0:
        time.sleep(5)
        os._exit(0)
    try:
        worked = libc.ptrace(16, pid, 0, 0) == 0
        return {"worked": worked}
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def read_victim_memory(*, job, **_):
    with open(f"/proc/{job.victim}/maps") as maps:
        start = int(maps.readline().split("-")[0], 16)
    with open(f"/proc/{job.victim}/mem", "rb") as memory:
        memory.seek(start)
        return {"worked": memory.read(4) == b"\x7fELF"}


def read_victim_environment(*, job, **_):
    with open(f"/proc/{job.victim}/environ", "rb") as environ:
        return {"worked": job.secret.encode() in environ.read()}


def read_worker_environment(*, job, **_):
    with open(f"/proc/{job.worker}/environ", "rb") as environ:
        return {"worked": len(environ.read()) > 0}


def read_victim_by_process_vm(*, job, **_):
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    buffer = ctypes.create_string_buffer(16)
    mine = Piece(ctypes.cast(buffer, ctypes.c_void_p), 16)
    theirs = Piece(job.victim_address, 16)
    got = libc.process_vm_readv(job.victim, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
    return {"worked": got == 16}


def steal_descriptor(*, job, **_):
    pidfd = os.pidfd_open(job.victim)
    stolen = libc.syscall(438, pidfd, 0, 0)
    return {"worked": stolen >= 0}


def see_others(*, job, **_):
    return {"worked": str(job.victim) in os.listdir("/proc")}


def lower_niceness_of_others(*, job, **_):
    os.setpriority(os.PRIO_PROCESS, job.victim, 1)
    return {"worked": True}


def lower_niceness_of_user(*, job, **_):
    """PRIO_USER with 0 means all processes of the caller's user, and sounds like the caller."""
    before = os.getpriority(os.PRIO_PROCESS, job.victim)
    os.setpriority(os.PRIO_USER, 0, before + 1)
    return {"worked": os.getpriority(os.PRIO_PROCESS, job.victim) != before}


def count_host_processes(*, job, **_):
    """Whether there is a process of that number; signals would be refused.

    getsid(2) answers 0 where the session was begun outside of this pid namespace: no error is
    the answer.
    """
    os.getsid(job.victim)
    return {"worked": True}


def watch_victim_end(*, job, **_):
    """A descriptor of somebody's process tells when it ends (pidfd_open(2))."""
    os.close(os.pidfd_open(job.victim))
    return {"worked": True}


def learn_host_name(*, job, **_):
    return {"worked": os.uname().nodename == job.host_name}


def core_pattern(*, job, **_):
    fd = os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)
    os.close(fd)
    return {"worked": True}


def sysrq(*, job, **_):
    fd = os.open("/proc/sysrq-trigger", os.O_WRONLY)
    os.close(fd)
    return {"worked": True}


def overwrite_own_executable(*, job, **_):
    """CVE-2019-5736's door: the running binary, opened for writing through /proc."""
    target = os.readlink("/proc/self/exe")
    copy = job.writable_copy or target
    fd = os.open(copy, os.O_WRONLY)
    os.close(fd)
    return {"worked": True}


def oom_score_of_the_protected(*, job, **_):
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-1000")
    return {"worked": True}
