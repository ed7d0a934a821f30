"""What the bench of environments measures with: time, disk, and the same work by others."""

import base64
import hashlib
import os
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from uv import find_uv_bin


def timed(action: Callable[[], object]) -> float:
    """Return how many milliseconds `action` took."""
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def disk_bytes(*folders: Path) -> int:
    """Return the bytes on disk below `folders`, each file once however often it is linked."""
    seen: dict[tuple[int, int], int] = {}
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            told = path.lstat()
            seen[(told.st_dev, told.st_ino)] = told.st_blocks * 512
    return sum(seen.values())


def tiny_wheel(folder: Path, name: str, version: int, requires: list[str]) -> Path:
    """Write a wheel with one module."""
    info = f"{name}-{version}.0.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    held = {
        f"{name}.py": "x = 1\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}.0\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in held.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        record += f"{path},sha256={digest.decode().rstrip('=')},{len(text)}\n"
    target = folder / f"{name}-{version}.0-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in {**held, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return target


def uv_build(folder: Path, python: str, flat: Path, listing: Path, *, cache: Path) -> float:
    """Return the milliseconds of a bare `uv venv && uv pip sync` into the new `folder`."""
    plain = ["-q", "--no-config", "--offline", "--cache-dir", str(cache)]
    venv = [find_uv_bin(), "venv", *plain, "--python", python, str(folder)]
    sync = [find_uv_bin(), "pip", "sync", *plain, "--python", str(folder / "bin" / "python")]
    sync += ["--require-hashes", "--no-index", "--find-links", str(flat), str(listing)]

    def build() -> None:
        subprocess.run(venv, check=True)
        subprocess.run(sync, check=True)

    return timed(build)


def pip_build(folder: Path, python: str, flat: Path, listing: Path) -> float:
    """Return the milliseconds of `python -m venv && pip install` into the new `folder`."""
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--no-index"]
    pip += ["--find-links", str(flat), "--require-hashes", "-r", str(listing)]
    outside = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull}

    def build() -> None:
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        subprocess.run(pip, check=True, env=outside, stdout=subprocess.DEVNULL)

    return timed(build)
