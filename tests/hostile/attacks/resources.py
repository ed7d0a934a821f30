"""Attacks on what a host has little of. Each returns {"worked": True} if nobody stopped it."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time

MIB = 1 << 20


def fork_bomb(*, job, **_):
    pids = []
    try:
        for _ in range(job.processes * 4):
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            pids.append(pid)
        return {"worked": True, "processes": len(pids)}
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def thread_bomb(*, job, **_):
    release = threading.Event()
    threads = [threading.Thread(target=release.wait) for _ in range(job.processes * 4)]
    try:
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        return {"worked": True}
    finally:
        release.set()


def memory_bomb(*, job, **_):
    block = bytearray(job.memory_mb * 3 * MIB)
    for at in range(0, len(block), 4096):
        block[at] = 1
    return {"worked": True}


def memory_bomb_by_children(*, job, **_):
    code = f"import time; b = bytearray({job.memory_mb // 3} << 20)\nfor at in range(0, len(b), 4096): b[at] = 1\nprint('held', flush=True); time.sleep(5)"
    children = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE)
        for _ in range(6)
    ]
    try:
        held = [child.stdout.readline() for child in children]
        time.sleep(0.3)
        alive = all(child.poll() is None for child in children)
        return {"worked": alive and all(line == b"held\n" for line in held)}
    finally:
        for child in children:
            child.kill()
            child.wait()


def scratch_bomb(*, job, **_):
    return {"worked": fill(job.scratch_dir / "bomb", job.scratch_mb * 3)}


def scratch_bomb_far_down(*, job, **_):
    """Fill scratch below more folders than whoever sums it up can descend."""
    depth = 1200
    os.chdir(job.scratch_dir)
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    time.sleep(0.2)
    try:
        return {"worked": fill("bomb", job.scratch_mb * 3) and not time.sleep(0.2)}
    finally:
        os.unlink("bomb")
        for _ in range(depth):
            os.chdir("..")
            os.rmdir("d")


def output_bomb(*, job, **_):
    return {"worked": fill(job.output_dir / "bomb", job.output_mb * 3)}


def tmp_bomb(*, job, **_):
    path = f"/tmp/fumehood-bomb-{os.getpid()}"
    try:
        return {"worked": fill(path, job.scratch_mb * 3)}
    finally:
        os.unlink(path)


def shared_memory_bomb(*, job, **_):
    path = f"/dev/shm/fumehood-bomb-{os.getpid()}"
    try:
        return {"worked": fill(path, job.scratch_mb * 3)}
    finally:
        os.unlink(path)


def fill(path, size_mb):
    with open(path, "wb") as file:
        for _ in range(size_mb):
            file.write(b"\xff" * MIB)
    return True


def inode_bomb(*, job, **_):
    folder = job.scratch_dir / "inodes"
    folder.mkdir()
    for number in range(60_000):
        os.close(os.open(folder / str(number), os.O_CREAT | os.O_WRONLY))
    return {"worked": True}


def output_inode_bomb(*, job, **_):
    for number in range(60_000):
        os.close(os.open(job.output_dir / str(number), os.O_CREAT | os.O_WRONLY))
    return {"worked": True}


def descriptor_bomb(*, job, **_):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    fds = []
    try:
        fds.extend(os.dup(0) for _ in range(job.open_files * 3))
        return {"worked": True}
    finally:
        for fd in fds:
            os.close(fd)


def raise_own_limits(*, job, **_):
    resource.setrlimit(resource.RLIMIT_NOFILE, (job.open_files * 4, job.open_files * 4))
    return {"worked": True}


def stdout_bomb(*, job, **_):
    for _ in range(64):
        sys.stdout.write("x" * 1023 + "\n")
        sys.stdout.write(("y" * 1023 + "\n") * 1023)
    sys.stdout.flush()
    return {"worked": True}


def stderr_bomb_without_newline(*, job, **_):
    for _ in range(64):
        sys.stderr.write("z" * MIB)
    sys.stderr.flush()
    return {"worked": True}


def bar_that_is_drawn_for_ever(*, job, **_):
    """What is drawn over is kept by nobody, but somebody has to read it (tqdm)."""
    for _ in range(64):
        sys.stdout.write("\r12 %" * (MIB // 5))
    sys.stdout.flush()
    return {"worked": True}


def line_bomb(*, job, **_):
    sys.stdout.write("\n" * 200_000)
    sys.stdout.flush()
    return {"worked": True}


def event_flood(*, job, **_):
    for number in range(200_000):
        job.event("flood", number=number)
    return {"worked": True}


def cpu_spin(*, job, **_):
    started = time.process_time()
    while time.process_time() - started < job.cpu_s * 3:
        pass
    return {"worked": True}


def cpu_spin_in_children(*, job, **_):
    code = (
        f"import time\ns = time.process_time()\nwhile time.process_time() - s < {job.cpu_s}: pass"
    )
    children = [subprocess.Popen([sys.executable, "-I", "-S", "-c", code]) for _ in range(3)]
    return {"worked": [child.wait() for child in children] == [0, 0, 0]}


def sleep_beyond_the_clock(*, job, **_):
    time.sleep(job.wall_s * 2)
    return {"worked": True}


def sparse_giant(*, job, **_):
    with open(job.output_dir / "sparse", "wb") as file:
        file.truncate(20 << 30)
    return {"worked": True}


def giant_result(*, job, **_):
    return {"worked": True, "padding": "r" * (8 * MIB)}
