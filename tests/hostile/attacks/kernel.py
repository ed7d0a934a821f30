"""Attacks on the kernel's rarer doors: what an escape is made of."""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import pty
import time

libc = ctypes.CDLL(None, use_errno=True)
REFUSED = {errno.EPERM, errno.ENOSYS, errno.EACCES}
IS_X86 = platform.machine() == "x86_64"
NEWUSER = 0x10000000


def answered(result):
    """Say whether the kernel let the call in: any answer but a refusal."""
    code = ctypes.get_errno()
    if result == -1 and code in REFUSED:
        return {"worked": False, "why": os.strerror(code)}
    return {"worked": True}


def syscall(x86, arm, *arguments):
    ctypes.set_errno(0)
    return libc.syscall(x86 if IS_X86 else arm, *arguments)


def in_child(action):
    """Run `action` in a fork, so that what works does not outlive the proof."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, b"1" if action()["worked"] else b"0")
        finally:
            os._exit(0)
    os.close(write)
    said = os.read(read, 1)
    os.close(read)
    os.waitpid(pid, 0)
    return {"worked": said == b"1"}


def user_namespace(*, job, **_):
    return in_child(lambda: answered(libc.unshare(NEWUSER)))


def user_namespace_by_clone(*, job, **_):
    pid = syscall(56, 220, NEWUSER | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    result = answered(pid)
    if pid > 0:
        os.waitpid(pid, 0)
    return result


def user_namespace_by_clone3(*, job, **_):
    arguments = (ctypes.c_uint64 * 11)(NEWUSER, 0, 0, 0, 17)
    pid = syscall(435, 435, arguments, 88)
    if pid == 0:
        os._exit(0)
    result = answered(pid)
    if pid > 0:
        os.waitpid(pid, 0)
    return result


def mount_tmpfs(*, job, **_):
    target = str(job.scratch_dir).encode()
    mounted = libc.mount(b"tmpfs", target, b"tmpfs", 0, b"size=4k")
    result = answered(mounted)
    if mounted == 0:
        libc.umount2(target, 2)
    return result


def new_mount_api(*, job, **_):
    fd = syscall(430, 430, b"tmpfs", 0)
    if fd >= 0:
        os.close(fd)
    return answered(fd)


def remount(*, job, **_):
    """Change how a part of the root is mounted; outside, in a namespace that ends with the proof."""
    new_mounts, remount_bind_nosuid = 0x20000, 32 | 4096 | 2

    def change():
        libc.unshare(new_mounts)
        return answered(libc.mount(None, b"/proc", None, remount_bind_nosuid, None))

    return in_child(change)


def unmount(*, job, **_):
    return answered(libc.umount2(b"/nowhere", 0))


def chroot(*, job, **_):
    return in_child(lambda: answered(libc.chroot(b"/")))


def join_host_namespace(*, job, **_):
    def join():
        fd = os.open(f"/proc/{job.victim}/ns/uts", os.O_RDONLY)
        return answered(libc.setns(fd, 0))

    return in_child(join)


def add_key(*, job, **_):
    key = syscall(248, 217, b"user", b"fumehood-probe", b"x", 1, -1)
    result = answered(key)
    if key > 0:
        syscall(250, 219, 3, key)
    return result


def read_keyring(*, job, **_):
    return answered(syscall(250, 219, 0, -3, 0))


def bpf(*, job, **_):
    return answered(syscall(321, 280, 0, None, 0))


def perf(*, job, **_):
    attribute = (ctypes.c_uint32 * 32)(1, 128)
    fd = syscall(298, 241, attribute, 0, -1, -1, 0)
    if fd >= 0:
        os.close(fd)
    return answered(fd)


def io_uring(*, job, **_):
    fd = syscall(425, 425, 4, (ctypes.c_uint32 * 30)())
    if fd >= 0:
        os.close(fd)
    return answered(fd)


def userfaultfd(*, job, **_):
    fd = syscall(323, 282, 1)
    if fd >= 0:
        os.close(fd)
    return answered(fd)


def open_by_handle(*, job, **_):
    """The Shocker: any inode of a file system, by number."""
    handle = (ctypes.c_uint32 * 34)(128)
    return answered(syscall(303, 264, -100, b"/", handle, ctypes.byref(ctypes.c_int()), 0))


def load_module(*, job, **_):
    return answered(syscall(313, 273, -1, b"", 0))


def kexec(*, job, **_):
    return answered(syscall(320, 294, -1, -1, 0, b"", 0))


def inject_keystrokes(*, job, **_):
    tiocsti = 0x5412
    _, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, tiocsti, b"x")
    except OSError as fault:
        return {"worked": fault.errno not in REFUSED}
    return {"worked": True}


def inject_keystrokes_with_high_bits(*, job, **_):
    """CVE-2019-10063: a filter that compares 64 bits misses what the kernel cuts to 32."""
    _, slave = pty.openpty()
    request = ctypes.c_ulong(0x5412 | 1 << 32) if IS_X86 else ctypes.c_ulong(0x5412)
    return answered(syscall(16, 29, slave, request, b"x"))


def disable_address_randomisation(*, job, **_):
    no_randomise = 0x0040000
    return in_child(lambda: answered(libc.personality(no_randomise)))


def set_clock(*, job, **_):
    now = (ctypes.c_long * 2)(*divmod(time.time_ns(), 10**9))
    return answered(syscall(227, 112, 0, now))


def set_hostname(*, job, **_):
    name = os.uname().nodename.encode()
    return answered(libc.sethostname(name, len(name)))


def become_root(*, job, **_):
    def become():
        os.setresuid(0, 0, 0)
        with open("/proc/self/status") as status:
            effective = next(line for line in status if line.startswith("CapEff"))
        return {"worked": int(effective.split()[1], 16) != 0}

    try:
        return in_child(become)
    except OSError:
        return {"worked": False}


def execute_memory_file(*, job, **_):
    fd = os.memfd_create("payload")
    result = syscall(322, 281, fd, b"", (ctypes.c_char_p * 1)(), (ctypes.c_char_p * 1)(), 0x1000)
    return answered(result)


def statistics_of_mounts(*, job, **_):
    return answered(syscall(458, 458, None, None, 0, 0))


def future_syscall(*, job, **_):
    """A call that no reviewer has seen: without the filter the kernel looks at it at all."""
    ctypes.set_errno(0)
    result = libc.syscall(468, -1, None, None, 0, 0)
    code = ctypes.get_errno()
    return {"worked": not (result == -1 and code in REFUSED), "errno": code}


def foreign_abi(*, job, **_):
    """int 0x80 on x86-64: the 32-bit table, which a filter by 64-bit numbers does not see."""
    if not IS_X86:
        return {"worked": False, "why": "x86-64 only"}
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return {"worked": ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid()}


def x32_abi(*, job, **_):
    if not IS_X86:
        return {"worked": False, "why": "x86-64 only"}
    ctypes.set_errno(0)
    result = libc.syscall(0x40000000 + 39)
    return {"worked": result > 0 or ctypes.get_errno() == errno.ENOSYS}
