# /// script
# dependencies = []
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# differs = "places"
# ///

import os, sys, subprocess, tempfile, mmap, locale, logging, time, socket, getpass, pathlib, platform, shutil, mimetypes, webbrowser, ctypes, ctypes.util, asyncio, signal, threading, zipfile, tarfile, hashlib, ssl, readline


def t(f):
    try:
        return f()
    except BaseException as e:
        return type(e).__name__ + ": " + str(e)[:160]


def extract(*, job, **_):
    logging.basicConfig()
    logging.warning("to stderr")
    (job.output_dir / "o.zip").write_bytes(b"")

    def mm():
        p = job.scratch_dir / "m"
        p.write_bytes(b"x" * 8192)
        with open(p, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
            m[0:3] = b"abc"
            return m[:3].decode()

    async def sub():
        p = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(6*7)", stdout=-1)
        return (await p.communicate())[0].decode()

    return {
        "sub": t(
            lambda: (
                subprocess.run(
                    [sys.executable, "-c", "import sys;print(sys.version_info[:2])"],
                    capture_output=True,
                    text=True,
                ).stdout
            )
        ),
        "sub_err": t(
            lambda: (
                subprocess.run(
                    [sys.executable, "-c", "import json"], capture_output=True, text=True
                ).stderr
            )
        ),
        "asub": t(lambda: asyncio.run(sub())),
        "shell": t(
            lambda: subprocess.run("echo hi", shell=True, capture_output=True, text=True).stdout
        ),
        "ls": t(lambda: subprocess.run(["ls"], capture_output=True, text=True).returncode),
        "tmp": t(lambda: len(tempfile.NamedTemporaryFile().name) > 3),
        "tmpdir": t(tempfile.gettempdir),
        "mkdtemp": t(lambda: os.path.isdir(tempfile.mkdtemp())),
        "mmap": t(mm),
        "user": t(getpass.getuser),
        "home": t(lambda: str(pathlib.Path.home())),
        "node": t(platform.node),
        "loc_default": t(lambda: locale.setlocale(locale.LC_ALL, "")),
        "loc_de": t(lambda: locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")),
        "loc_en": t(lambda: locale.setlocale(locale.LC_ALL, "en_US.UTF-8")),
        "tz": time.tzname,
        "cpu": os.cpu_count(),
        "aff": len(os.sched_getaffinity(0)),
        "disk": t(lambda: shutil.disk_usage(job.scratch_dir).total >> 20),
        "mime": [
            mimetypes.guess_type(x)[0]
            for x in ("a.xlsx", "a.docx", "a.md", "a.webp", "a.yaml", "a.parquet", "a.pdf")
        ],
        "find_lib": t(lambda: ctypes.util.find_library("c")),
        "cdll": t(lambda: ctypes.CDLL(None).getpid() > 0),
        "ca": t(lambda: len(ssl.create_default_context().get_ca_certs()) > 0),
        "cwd": t(os.getcwd),
        "argv": sys.argv,
        "exe": sys.executable,
        "chmod": t(
            lambda: (
                (job.scratch_dir / "m").chmod(0o640)
                or oct((job.scratch_dir / "m").stat().st_mode)[-3:]
            )
        ),
        "symlink": t(
            lambda: os.symlink("m", job.scratch_dir / "l") or os.readlink(job.scratch_dir / "l")
        ),
        "fifo": t(lambda: os.mkfifo(job.scratch_dir / "ff")),
        "sigalrm": t(
            lambda: (
                signal.signal(signal.SIGALRM, lambda *a: None),
                signal.alarm(1),
                time.sleep(1.2),
                "ok",
            )[3]
        ),
        "thread_sig": t(lambda: threading.Thread(target=print).start()),
        "nice": t(lambda: os.nice(1)),
        "writepkg": t(lambda: open(os.path.join(os.path.dirname(__file__), "x"), "w")),
        "relwrite": t(lambda: open("rel.txt", "w").write("x")),
        "xattr": t(lambda: os.setxattr(job.scratch_dir / "m", "user.a", b"1")),
        "input_write": t(lambda: open(job.inputs[0], "a")),
        "sha": hashlib.file_digest(open(job.inputs[0], "rb"), "sha256").hexdigest()[:8],
        "stdin": t(lambda: sys.stdin.read()),
        "input()": t(lambda: input()),
        "isatty": sys.stdout.isatty(),
        "cols": shutil.get_terminal_size().columns,
        "enc": sys.stdout.encoding,
        "utf8": sys.flags.utf8_mode,
        "host": t(lambda: socket.gethostbyname("localhost")),
        "fqdn": t(socket.getfqdn),
    }
