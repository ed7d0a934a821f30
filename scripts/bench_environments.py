"""Measures environments against uv, pip and unzip on this machine, in the same run.

    scripts/bench environments [--json] [--rounds N] [--home FOLDER] [--only NAME …]

Needs the registry the first time, to fill a wheelhouse with real wheels. Every build goes to
a fresh folder, and nothing is removed before the end: ext4 looks at each recently deleted
inode again before it makes a folder, which would slow whoever comes next, ours or theirs.
"""

import argparse
import asyncio
import io
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from bench_world import Bench
from figures import Figure, against, alone, tell
from measured import disk_bytes, pip_build, timed, tiny_wheel, uv_build

from packages.archive import Bundles, receive
from packages.environment.bundle_bytecode import with_bytecode
from packages.lock.grant import GateState
from packages.lock.lock import Lock
from packages.lock.uv import compile_pylock
from packages.preparation import Workshop, prepare
from sandbox.command import Command, Folder
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox
from wheelhouse.durable import remove_tree
from wheelhouse.store import Origin, Wheelhouse
from wheelhouse.unpacked import bytecode_folder, unpacked_folder

SMALL, LARGE = "requests", "numpy\npandas\npyarrow\nrequests"
SPREADSHEET = "pandas\nopenpyxl"


def packed(files: dict[str, str]) -> io.BytesIO:
    """Return a bundle of `files` as a zip."""
    upload = io.BytesIO()
    with zipfile.ZipFile(upload, "w") as archive:
        archive.writestr("manifest.json", '{"schema": 1, "name": "sheet", "version": "1.0"}')
        for name, text in files.items():
            archive.writestr(name, text)
    upload.seek(0)
    return upload


async def builds(bench: Bench, name: str, text: str) -> tuple[Figure, float]:
    """Measure our builds and uv's, round by round in turn; return ours in ms as well."""
    lock = await bench.lock(text)
    environments = bench.environments()
    flat, listing = bench.flat(lock)
    cache, python = bench.fresh(), str(bench.python.executable)
    uv_build(bench.fresh() / "env", python, flat, listing, cache=cache)
    ours, theirs = [], []
    built = await environments.ensure(lock, interpreter=bench.python)  # unpacks and compiles
    for _ in range(bench.rounds):
        built.folder.chmod(0o755)
        built.folder.rename(bench.fresh() / "env")
        built = await environments.ensure(lock, interpreter=bench.python)
        ours.append(built.duration_ms)
        theirs.append(uv_build(bench.fresh() / "env", python, flat, listing, cache=cache))
    value, than = statistics.median(ours), statistics.median(theirs)
    baseline = "uv venv && uv pip sync, wheels unpacked, no bytecode"
    return against(name, value, "ms", baseline=baseline, than=than, most=1.6), value


async def build_small(bench: Bench) -> list[Figure]:
    """A lock of requests."""
    return [(await builds(bench, "build_small", SMALL))[0]]


async def build_large(bench: Bench) -> list[Figure]:
    """A lock of numpy, pandas, pyarrow and requests, against uv and against pip."""
    figure, ours = await builds(bench, "build_large", LARGE)
    flat, listing = bench.flat(await bench.lock(LARGE))
    than = pip_build(bench.fresh() / "env", str(bench.python.executable), flat, listing)
    baseline = "python -m venv && pip install --no-index --require-hashes"
    return [
        figure,
        against("build_vs_pip", ours, "ms", baseline=baseline, than=than, most=0.01),
    ]


async def upload_to_active(bench: Bench) -> list[Figure]:
    """A bundle that asks for pandas and openpyxl, from its upload to activated."""
    lock = await bench.lock(SPREADSHEET)
    await bench.warm(lock)
    upload = packed(
        {
            "requirements.txt": SPREADSHEET,
            "extract.py": "def extract(*, job, **_):\n    return None\n",
            "hooks/on_activate.py": "def run(*, context, **_):\n    return None\n",
        }
    )
    took = []
    for _ in range(bench.rounds):
        upload.seek(0)
        workshop = Workshop(
            wheelhouse=bench.wheelhouse,
            locker=bench.locker,
            environments=bench.environments(),
            run=bench.sandbox.run,
            data_root=bench.fresh(),
        )
        started = time.perf_counter()
        bundle = receive(upload, bundles=Bundles(bench.fresh(), judges=bench.wheelhouse.judges))
        await prepare(bundle, workshop=workshop, gate=GateState())
        took.append((time.perf_counter() - started) * 1000)
    flat, listing = bench.flat(lock)
    than = pip_build(bench.fresh() / "env", str(bench.python.executable), flat, listing)
    value = statistics.median(took)
    baseline = "python -m venv && pip install of the same requirements"
    return [against("upload_to_active", value, "ms", baseline=baseline, than=than, most=0.05)]


async def reuse(bench: Bench) -> list[Figure]:
    """An environment that is there already."""
    lock = await bench.lock(LARGE)
    environments = bench.environments()
    await environments.ensure(lock, interpreter=bench.python)
    took = [
        (await environments.ensure(lock, interpreter=bench.python)).duration_ms
        for _ in range(20 * bench.rounds)
    ]
    return [alone("reuse_ms", statistics.median(took), "ms", most=5)]


PROBE = """
import os, sys, time

compiled = [] if os.path.isfile(__cached__) else [__file__]

def watch(event, args):
    if event == "compile" and str(args[1]).endswith(".py"):
        compiled.append(str(args[1]))

def extract(*, job, **_):
    sys.addaudithook(watch)
    started = time.perf_counter()
    import pandas
    took_ms = (time.perf_counter() - started) * 1000
    import neighbour
    return {"compiled": len(compiled), "ms": took_ms}
"""
OUTSIDE = (
    "import time; t = time.perf_counter(); import pandas; print((time.perf_counter() - t) * 1e3)"
)


async def cold_import(bench: Bench) -> list[Figure]:
    """Import pandas in a cold cell, and outside with its bytecode there.

    Counted is every module, of the bundle and of the standard library too.
    """
    built = await bench.warm(await bench.lock(SPREADSHEET))
    upload = packed({"extract.py": PROBE, "neighbour.py": "X = 1\n"})
    bundle = receive(upload, bundles=Bundles(bench.fresh(), judges=bench.wheelhouse.judges))
    shown = await with_bytecode(bundle, interpreter=bench.python, run=bench.sandbox.run)
    command = Command(
        target="extract:extract",
        handle="job",
        interpreter=bench.python,
        limits=Limits(),
        folders=(
            Folder(name="bundle", source=shown.folder, on_path=True),
            *built.in_sight(),
        ),
    )
    inside, outside, compiled = [], [], 0
    python = str(built.folder / "bin" / "python")
    for _ in range(bench.rounds):
        outcome = await bench.sandbox.run(
            command, outputs_to=bench.fresh(), observe=lambda report: None
        )
        told = outcome.value
        if not isinstance(told, dict):
            raise SystemExit(f"the probe did not run: {outcome.failure}")
        inside.append(float(str(told["ms"])))
        compiled += int(str(told["compiled"]))
        outside.append(import_outside(python))
    value, than = statistics.median(inside), statistics.median(outside)
    baseline = "the same import outside, bytecode there"
    return [
        alone("modules_compiled_at_run", compiled, "modules", most=0),
        against("cold_import", value, "ms", baseline=baseline, than=than, most=1.1),
    ]


def import_outside(python: str) -> float:
    """Return the milliseconds that the same import takes without walls."""
    said = subprocess.run([python, "-I", "-c", OUTSIDE], capture_output=True, check=True)
    return float(said.stdout)


async def disk_100(bench: Bench) -> list[Figure]:
    """100 versions on one lock; 100 different locks out of the same wheels."""
    lock = await bench.lock(LARGE)
    environments = bench.environments()
    await environments.ensure(lock, interpreter=bench.python)
    one = disk_bytes(environments.root)
    for _ in range(100):
        await environments.ensure(lock, interpreter=bench.python)
    hundred = disk_bytes(environments.root)
    overlapping = await _overlapping(bench, await bench.lock(f"{LARGE}\n{SPREADSHEET}"))
    return [
        against("disk_100_same", hundred, "bytes", baseline="one", than=one, most=1.05),
        overlapping,
    ]


async def _overlapping(bench: Bench, lock: Lock) -> Figure:
    """Build 100 different halves of `lock`, and hold them against the distinct wheels."""
    chance = random.Random(7)
    environments = bench.environments()
    made: set[tuple[str, ...]] = set()
    while len(made) < 100:
        chosen = [p for p in lock.packages if chance.random() < 0.5]
        names = tuple(p.name for p in chosen)
        if chosen and names not in made:
            made.add(names)
            part = Lock(python_minor=lock.python_minor, packages=tuple(chosen))
            await environments.ensure(part, interpreter=bench.python)
    wheels = [bench.wheelhouse.get(p.sha256, name=p.name) for p in lock.packages]
    tag = f"cpython-{bench.python.soabi.split('-')[1]}"
    stored = [unpacked_folder(bench.wheelhouse, wheel) for wheel in wheels]
    stored += [bytecode_folder(bench.wheelhouse, wheel, cache_tag=tag) for wheel in wheels]
    than = disk_bytes(*stored)
    value = disk_bytes(*stored, environments.root)
    baseline = "the distinct wheels, unpacked and compiled"
    return against("disk_100_mixed", value, "bytes", baseline=baseline, than=than, most=1.15)


async def resolve_3000(bench: Bench) -> list[Figure]:
    """Lock a tree through 1,000 distributions of three versions each."""
    flat = bench.fresh()
    house = Wheelhouse(bench.fresh())
    origin = Origin(kind="uploaded", at=datetime.now(UTC), by="bench")
    for number in range(1000):
        below = [f"dist-{n:04d}>=2" for n in (2 * number + 1, 2 * number + 2) if n < 1000]
        for version in (1, 2, 3):
            path = tiny_wheel(flat, f"dist_{number:04d}", version, below)
            house.add(path, origin=origin)
    simple = str(house.simple())
    ours = await _uv_locks(bench, ["--offline", "--default-index", simple])
    theirs = await _uv_locks(bench, ["--offline", "--no-index", "--find-links", str(flat)])
    value, than = statistics.median(ours), statistics.median(theirs)
    baseline = "uv pip compile against a flat folder of the same"
    return [against("resolve_3000", value, "ms", baseline=baseline, than=than, most=1.0)]


async def _uv_locks(bench: Bench, sources: list[str]) -> list[float]:
    took = []
    for _ in range(bench.rounds):
        started = time.perf_counter()
        said, _ = await compile_pylock(
            requirements="dist-0000\n",
            constraints="",
            python=bench.python.executable,
            sources=sources,
            variables={},
            timeout_s=60,
            scratch=bench.fresh(),
        )
        took.append((time.perf_counter() - started) * 1000)
        if said.code:
            raise SystemExit(said.stderr)
    return took


async def upload_judge(bench: Bench) -> list[Figure]:
    """Receive a bundle of 60 MB, and let `unzip -t` look at the same file."""
    chance = random.Random(3)
    words = [chance.randbytes(6).hex().encode() for _ in range(5_000)]
    upload = bench.fresh() / "bundle.zip"
    with zipfile.ZipFile(upload, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", '{"schema": 1, "name": "big", "version": "1.0"}')
        archive.writestr("extract.py", "def extract(*, job, **_):\n    return None\n")
        for number in range(60):
            archive.writestr(f"data/{number}.txt", b" ".join(chance.choices(words, k=80_000)))
    size_mb = sum(entry.file_size for entry in zipfile.ZipFile(upload).infolist()) / 1e6
    ours, theirs = [], []
    for _ in range(bench.rounds):
        started = time.perf_counter()
        with upload.open("rb") as stream:
            receive(stream, bundles=Bundles(bench.fresh(), judges=bench.wheelhouse.judges))
        ours.append(size_mb / (time.perf_counter() - started))
        quiet = ["unzip", "-tqq", str(upload)]
        theirs.append(size_mb / (timed(lambda: subprocess.run(quiet, check=True)) / 1000))  # noqa: B023
    value, than = statistics.median(ours), statistics.median(theirs)
    return [
        Figure(
            name="upload_judge",
            value=round(value, 1),
            unit="MB/s",
            baseline="unzip -t",
            baseline_value=round(than, 1),
            ratio=round(value / than, 3),
            goal="ratio >= 0.5",
            ok=value / than >= 0.5,
        )
    ]


MEASUREMENTS: dict[str, Callable[[Bench], Awaitable[list[Figure]]]] = {
    "build_small": build_small,
    "build_large": build_large,
    "upload_to_active": upload_to_active,
    "reuse_ms": reuse,
    "cold_import": cold_import,
    "disk_100": disk_100,
    "resolve_3000": resolve_3000,
    "upload_judge": upload_judge,
}


async def measure(home: Path, *, rounds: int, only: list[str]) -> list[Figure]:
    """Run the measurements and return their figures."""
    sandbox = await Sandbox.open(home)
    try:
        bench = Bench(home, sandbox, rounds)
        chosen = [m for name, m in MEASUREMENTS.items() if not only or name in only]
        return [figure for one in chosen for figure in await one(bench)]
    finally:
        await sandbox.close()


def main() -> int:
    """Measure, print, and exit 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench environments",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured")
    parser.add_argument("--home", type=Path, help="a folder to keep the wheels in between runs")
    parser.add_argument("--only", nargs="*", default=[], choices=list(MEASUREMENTS))
    chosen = parser.parse_args()
    home = chosen.home or Path(tempfile.mkdtemp(prefix="fumehood-bench-", dir="/var/tmp"))
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o755)
    try:
        figures = asyncio.run(measure(home, rounds=chosen.rounds, only=chosen.only))
        is_met = tell("environments", figures, as_json=chosen.json)
    finally:
        remove_tree(home / "rounds")
        if chosen.home is None:
            remove_tree(home)
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
