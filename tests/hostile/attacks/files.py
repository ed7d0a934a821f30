"""Attacks on files: the host's, the neighbours', the environment's, and on who collects outputs."""

import os
import shutil
import socket
import stat
import subprocess
import sys
import time


def read_host_secret(*, job, **_):
    with open(job.secret_file) as file:
        return {"worked": job.secret in file.read()}


def read_host_accounts(*, job, **_):
    with open("/etc/passwd") as file:
        return {"worked": job.account in file.read()}


def list_host_root(*, job, **_):
    return {"worked": job.host_marker in os.listdir(job.host_marker_folder)}


def read_database(*, job, **_):
    with open(job.database, "rb") as file:
        return {"worked": file.read(6) == b"SQLite"}


def read_neighbours_input(*, job, **_):
    with open(job.neighbour_input) as file:
        return {"worked": job.secret in file.read()}


def read_other_bundle(*, job, **_):
    return {"worked": "extract.py" in os.listdir(job.other_bundle)}


def read_through_inherited_descriptors(*, job, **_):
    """CVE-2024-21626's door: a descriptor of a host folder that somebody forgot to close."""
    for fd in range(3, 256):
        try:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                found = os.open(job.secret_file.lstrip("/"), os.O_RDONLY, dir_fd=fd)
                return {"worked": job.secret in os.read(found, 100).decode()}
        except OSError:
            continue
    return {"worked": False, "why": "no folder among the descriptors"}


def climb_out_by_dotdot(*, job, **_):
    with open("/".join([".."] * 40) + job.secret_file) as file:
        return {"worked": job.secret in file.read()}


def climb_out_by_proc_root(*, job, **_):
    with open(f"/proc/{job.victim}/root{job.secret_file}") as file:
        return {"worked": job.secret in file.read()}


def climb_out_by_proc_cwd(*, job, **_):
    with open(f"/proc/{job.victim}/cwd/{os.path.basename(job.secret_file)}") as file:
        return {"worked": job.secret in file.read()}


def write_environment(*, job, **_):
    return overwrite(job.environment_file)


def write_bytecode(*, job, **_):
    return overwrite(job.bytecode_file)


def replace_bytecode(*, job, **_):
    folder = os.path.dirname(job.bytecode_file)
    path = os.path.join(folder, "planted.pyc")
    with open(path, "wb") as file:
        file.write(b"planted")
    os.unlink(path)
    return {"worked": True}


def write_interpreter(*, job, **_):
    return overwrite(job.interpreter_file)


def write_bundle(*, job, **_):
    return overwrite(job.bundle_file)


def write_runner(*, job, **_):
    return overwrite(job.runner_file)


def write_input(*, job, **_):
    return overwrite(str(job.inputs[0]))


def write_installer_cache(*, job, **_):
    return overwrite(job.cache_file)


def plant_sitecustomize(*, job, **_):
    folder = os.path.dirname(job.environment_file)
    path = os.path.join(folder, "sitecustomize.py")
    with open(path, "w") as file:
        file.write("raise SystemExit")
    os.unlink(path)
    return {"worked": True}


def plant_pth(*, job, **_):
    folder = os.path.dirname(job.environment_file)
    path = os.path.join(folder, "planted.pth")
    with open(path, "w") as file:
        file.write("import os")
    os.unlink(path)
    return {"worked": True}


def chmod_environment(*, job, **_):
    before = os.stat(job.environment_file).st_mode & 0o777
    os.chmod(job.environment_file, before ^ 0o070)
    worked = os.stat(job.environment_file).st_mode & 0o777 != before
    os.chmod(job.environment_file, before)
    return {"worked": worked}


def backdate_environment(*, job, **_):
    before = os.stat(job.environment_file).st_mtime
    os.utime(job.environment_file, (before - 9, before - 9))
    worked = os.stat(job.environment_file).st_mtime != before
    os.utime(job.environment_file, (before, before))
    return {"worked": worked}


def size_up_host_disk(*, job, **_):
    return {"worked": os.statvfs(os.path.dirname(job.secret_file)).f_blocks > 0}


def size_up_host_file(*, job, **_):
    """Learn that a file is there, and its size."""
    return {"worked": os.stat(job.secret_file).st_size == len(job.secret)}


def overwrite(path):
    fd = os.open(path, os.O_RDWR)
    os.close(fd)
    return {"worked": True}


def output_symlink_to_secret(*, job, **_):
    """The class of CVE-2024-28185: a link in the output folder, followed by the collector."""
    os.symlink(job.secret_file, job.output_dir / "loot.txt")
    return {"worked": True}


def output_symlinked_folder(*, job, **_):
    os.symlink(os.path.dirname(job.secret_file), job.output_dir / "loot")
    return {"worked": True}


def output_magic_link(*, job, **_):
    os.symlink("/proc/self/root" + job.secret_file, job.output_dir / "loot.txt")
    return {"worked": True}


def output_hardlink(*, job, **_):
    """The class of CVE-2024-28189: a hard link to what may be read but is not ours."""
    os.link(job.inputs[0], job.output_dir / "linked")
    return {"worked": True}


def output_fifo(*, job, **_):
    os.mkfifo(job.output_dir / "fifo")
    return {"worked": True}


def output_socket(*, job, **_):
    listener = socket.socket(socket.AF_UNIX)
    os.chdir(job.output_dir)
    listener.bind("sock")
    return {"worked": True}


def output_device(*, job, **_):
    os.mknod(job.output_dir / "disk", stat.S_IFBLK | 0o666, os.makedev(254, 0))
    return {"worked": True}


def output_setuid(*, job, **_):
    path = job.output_dir / "root-shell"
    path.write_bytes(b"#!/bin/sh\n")
    path.chmod(0o6755)
    return {"worked": True}


def output_odd_names(*, job, **_):
    folder = os.fsencode(job.output_dir)
    for name in (b"\xff\xfe", b"new\nline", b"\x1b[31mred", b"fine.txt"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"x")
    return {"worked": True}


def output_deep(*, job, **_):
    os.chdir(job.output_dir)
    for _ in range(200):
        os.mkdir("d")
        os.chdir("d")
    return {"worked": True}


def output_unreadable(*, job, **_):
    (job.output_dir / "closed").mkdir(mode=0)
    path = job.output_dir / "file"
    path.write_bytes(b"x")
    path.chmod(0)
    return {"worked": True}


def output_swapper(*, job, **_):
    """Processes that go on swapping a file for a link while the outputs are collected."""
    target = str(job.output_dir / "swap.txt")
    until = time.monotonic() + job.patience_s
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            while time.monotonic() < until:
                swap(target, lambda: os.symlink(job.secret_file, target))
                swap(target, lambda: os.close(os.open(target, os.O_CREAT | os.O_EXCL)))
            os._exit(0)
    return {"worked": True}


def swap(target, make):
    try:
        os.unlink(target)
        make()
    except OSError:
        return


def execute_from_scratch(*, job, **_):
    """Bring a program along and start it."""
    path = job.scratch_dir / "tool"
    shutil.copy(os.path.realpath(sys.executable), path)
    path.chmod(0o755)
    done = subprocess.run([path, "--version"], capture_output=True)
    return {"worked": b"Python" in done.stdout, "why": done.stderr.decode()}
