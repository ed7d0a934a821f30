"""Measures cells: how fast a walled process starts, how many a second, how much memory it takes.

Each figure is the median of its runs, interleaved with its baseline in the same run.
"""

import argparse
import asyncio
import compileall
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import bench_neighbours
import psutil
from figures import Figure, against, shown, tell, times
from uv import find_uv_bin

from sandbox.command import Command, Folder, Level, Outcome, Warmth
from sandbox.isolation import this_interpreter
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox

BUNDLE = """
import time

def nothing(*, job, **_):
    job.event("ran", n=1)
    return {"ok": True}

def use_pandas(*, job, **_):
    import pandas
    job.event("ran", n=1)
    return int(pandas.Series([1, 2, 3]).sum())

def use_numpy(*, job, **_):
    import numpy
    return numpy.zeros(5).tolist()

def hold(*, job, **_):
    use_pandas(job=job)
    time.sleep(1)

def weigh(*, job, **_):
    import pandas
    pandas.Series([1, 2, 3]).sum()
    with open("/proc/self/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
"""
HELD_RUNS, HOLD_S = 4, 1.0
CORES = 2
RATE_ROUNDS = 5
AT_ONCE = 100
NUMPY = "import sys; sys.path.insert(0, {path!r}); import numpy; numpy.zeros(5).tolist()"
WEIGH_FRESH = "import sys; sys.path[:0] = {path!r}; import extract; print(extract.weigh(job=None))"


@dataclass(frozen=True)
class Bench:
    """What the measurements share."""

    sandbox: Sandbox
    folder: Path
    site_packages: Path
    runs: int

    def command(self, target: str, *, preload: tuple[str, ...] | None, pandas: bool) -> Command:
        """Return the command of one figure; without `preload` it starts cold."""
        folders = [Folder(name="bundle", source=self.folder / "bundle", on_path=True)]
        if pandas:
            root = self.site_packages.parents[2]
            below = str(self.site_packages.relative_to(root))
            folders.append(Folder(name="environment", source=root, on_path=True, import_root=below))
        return Command(
            target=f"extract:{target}",
            handle="job",
            interpreter=this_interpreter(),
            limits=Limits(),
            folders=tuple(folders),
            least=Level.UNPRIVILEGED,
            warmth=None if preload is None else Warmth(key=target, preload=preload),
        )

    async def run(self, command: Command) -> Outcome:
        """Run it; a run that fails ends the bench."""
        outcome = await self.sandbox.run(
            command, outputs_to=self.folder / "outputs", observe=lambda _: None
        )
        if not outcome.is_ok:
            raise SystemExit(f"a run failed: {outcome}")
        return outcome


def main() -> None:
    """Measure, print, and exit with 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench cells", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--runs", type=int, default=100, help="runs of each figure (default 100)")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory(prefix="fumehood-bench-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        figures = asyncio.run(measure(Path(folder), runs=options.runs))
    if not tell("cells", figures, as_json=options.json):
        sys.exit(1)


async def measure(folder: Path, *, runs: int) -> list[Figure]:
    """Return every figure."""
    (folder / "bundle").mkdir()
    (folder / "bundle" / "extract.py").write_text(BUNDLE)
    compileall.compile_dir(folder / "bundle", quiet=1)  # as the bundle of an active version is
    sandbox = await Sandbox.open(folder / "cells")
    bench = Bench(sandbox, folder, install_pandas(folder), runs)
    try:
        return [
            await warm_bare(bench),
            await warm_pandas(bench),
            await cold_bare(bench),
            *await cells_per_s(bench),
            await fanout(bench),
            await drained(bench, target="nothing", preload=("extract",), most=1.6),
            await drained(bench, target="use_pandas", preload=("pandas", "extract"), most=1.1),
            await memory_per_warm_run(bench),
            *await neighbours(bench),
        ]
    finally:
        await sandbox.close()


def install_pandas(folder: Path) -> Path:
    """Install pandas with its bytecode, as environments have it; return its site-packages."""
    uv, root = find_uv_bin(), folder / "environment"
    python = str(this_interpreter().executable)
    subprocess.run([uv, "venv", "-q", "--python", python, root], check=True)
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", root / "bin/python"]
    subprocess.run([*install, "pandas"], check=True)
    return next(root.glob("lib/python3*/site-packages"))


async def warm_bare(bench: Bench) -> Figure:
    """A warm run that does nothing, with all walls, its result and an event."""
    command = bench.command("nothing", preload=("extract",), pandas=False)
    await bench.run(command)
    value, baseline = await interleave(bench, lambda: bench.run(command), python_pass)
    return against("warm_bare", value, "ms", baseline="python -I -c pass", than=baseline, most=0.35)


async def warm_pandas(bench: Bench) -> Figure:
    """A warm run that uses pandas, against a cold cell that imports it."""
    command = bench.command("use_pandas", preload=("pandas", "extract"), pandas=True)
    cold = replace(command, warmth=None)
    await bench.run(command)
    value, baseline = await interleave(bench, lambda: bench.run(command), lambda: bench.run(cold))
    return against(
        "warm_pandas", value, "ms", baseline="cold cell importing pandas", than=baseline, most=0.033
    )


async def cold_bare(bench: Bench) -> Figure:
    """A cold cell that does nothing, against bubblewrap and Python by hand."""
    command = bench.command("nothing", preload=None, pandas=False)
    by_hand = bubblewrap_by_hand(bench)
    value, baseline = await interleave(
        bench, lambda: bench.run(command), lambda: in_process(by_hand)
    )
    return against(
        "cold_bare",
        value,
        "ms",
        baseline="bwrap + python -I -c pass by hand",
        than=baseline,
        most=1.3,
    )


async def cells_per_s(bench: Bench) -> list[Figure]:
    """Warm runs a second on two cores, against bubblewrap by hand with the same concurrency.

    Four at a time for each core keep both busy, ours and theirs; one for each is shown beside.
    """
    value, baseline = await rates(bench, at_a_time=4 * CORES)
    one_value, one_baseline = await rates(bench, at_a_time=CORES)
    by_hand = "bwrap + python by hand"
    return [
        times("cells_per_s", value, "1/s", baseline=by_hand, than=baseline, least=8),
        shown("one_per_core", one_value, "1/s", baseline=by_hand, than=one_baseline),
    ]


async def rates(bench: Bench, *, at_a_time: int) -> tuple[float, float]:
    """Return how many warm runs and how many by hand get done a second, measured in turn."""
    command = bench.command("nothing", preload=("extract",), pandas=False)
    by_hand = bubblewrap_by_hand(bench)
    value: list[float] = []
    baseline: list[float] = []
    for _ in range(RATE_ROUNDS):
        value.append(await rate(lambda: bench.run(command), bench.runs * 4, at_a_time))
        baseline.append(await rate(lambda: in_process(by_hand), bench.runs, at_a_time))
    return statistics.median(value), statistics.median(baseline)


async def fanout(bench: Bench) -> Figure:
    """A hundred runs asked for at once, from one warm cell, against as many fresh processes."""
    command = bench.command("use_numpy", preload=("numpy", "extract"), pandas=True)
    code = NUMPY.format(path=str(bench.site_packages))
    fresh = [str(this_interpreter().executable), "-I", "-c", code]
    await bench.run(command)
    value, baseline = await interleave(
        replace(bench, runs=max(1, bench.runs // 20)),
        lambda: rate(lambda: bench.run(command), AT_ONCE, AT_ONCE),
        lambda: rate(lambda: in_process(fresh), AT_ONCE, CORES),
    )
    return against(
        f"fanout_{AT_ONCE}",
        value,
        "ms",
        baseline=f"{AT_ONCE} fresh python -c importing numpy",
        than=baseline,
        most=0.06,
    )


async def drained(bench: Bench, *, target: str, preload: tuple[str, ...], most: float) -> Figure:
    """The first run of a version that has no warm cell (any more), at its slowest, and a cold one.

    It starts cold, and the warm cell is made afterwards, for whoever comes next: it is waited
    for, lest a baseline run beside it.
    """
    pandas = "pandas" in preload
    cold = bench.command(target, preload=None, pandas=pandas)
    values: list[float] = []
    baselines: list[float] = []
    for number in range(max(5, bench.runs // 4)):
        warmth = Warmth(key=f"{target}-{number}", preload=preload, may_begin_cold=True)
        first = replace(cold, warmth=warmth)
        for measured, command in ((values, first), (baselines, cold)):
            started = time.perf_counter()
            await bench.run(command)
            measured.append((time.perf_counter() - started) * 1000)
            await bench.run(first)
    return against(
        f"drained_p99_{target}",
        statistics.quantiles(values, n=100)[-1],
        "ms",
        baseline="cold cell importing the same",
        than=statistics.quantiles(baselines, n=100)[-1],
        most=most,
    )


async def memory_per_warm_run(bench: Bench) -> Figure:
    """What a further warm run that uses pandas adds to the machine, against a fresh process.

    The PSS of the warm cell and its four runs, less that of the warm cell alone, by four: a
    page that all share counts once, however many share it.
    """
    command = bench.command("hold", preload=("pandas", "extract"), pandas=True)
    path = [str(bench.folder / "bundle"), str(bench.site_packages)]
    fresh = [sys.executable, "-I", "-c", WEIGH_FRESH.format(path=path)]
    await bench.run(command)
    values: list[float] = []
    baselines: list[float] = []
    for _ in range(max(3, bench.runs // 20)):
        idle = tree_pss_mib()
        runs = [asyncio.create_task(bench.run(command)) for _ in range(HELD_RUNS)]
        await asyncio.sleep(HOLD_S / 2)
        values.append((tree_pss_mib() - idle) / HELD_RUNS)
        await asyncio.gather(*runs)
        done = await asyncio.to_thread(subprocess.run, fresh, capture_output=True, check=True)
        baselines.append(int(done.stdout) / 1024)
    return against(
        "memory_per_warm_run",
        statistics.median(values),
        "MiB",
        baseline="fresh pandas process",
        than=statistics.median(baselines),
        most=0.15,
    )


def tree_pss_mib() -> float:
    """Return the PSS of every process below this one, in MiB (proc(5), smaps_rollup)."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 2**20


async def neighbours(bench: Bench) -> list[Figure]:
    """Other sandboxes that run `python -I -c pass`: shown, without a goal."""
    figures: list[Figure] = []
    async with contextlib.AsyncExitStack() as stack:
        for name, act in (await bench_neighbours.installed(stack, bench.folder)).items():
            value, baseline = await interleave(bench, act, python_pass)
            figures.append(shown(name, value, "ms", baseline="python -I -c pass", than=baseline))
    return figures


def bubblewrap_by_hand(bench: Bench) -> list[str]:
    """Return what one would type: all namespaces, a root with only what Python needs."""
    interpreter = this_interpreter()
    libraries = [
        word
        for folder in ("/usr/lib", "/usr/lib64", "/lib", "/lib64")
        for word in ("--ro-bind-try", folder, folder)
    ]
    prefix = str(interpreter.prefix)
    return [
        str(bench.sandbox.host.bubblewrap),
        *("--unshare-all", "--die-with-parent", "--new-session", "--clearenv"),
        *libraries,
        *("--ro-bind", prefix, prefix, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
        *("--", str(interpreter.executable), "-I", "-c", "pass"),
    ]


async def python_pass() -> None:
    """Start and end a Python that does nothing."""
    await in_process([str(this_interpreter().executable), "-I", "-c", "pass"])


async def in_process(argv: list[str]) -> None:
    """Run a program to its end, in a thread's wait."""
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{argv[0]} failed: {done.stderr.decode(errors='replace')}")


async def interleave(
    bench: Bench, one: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]]
) -> tuple[float, float]:
    """Return the median milliseconds of both, measured in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(bench.runs):
        for measured, act in zip(times, (one, other), strict=True):
            started = time.perf_counter()
            await act()
            measured.append((time.perf_counter() - started) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


async def rate(act: Callable[[], Awaitable[object]], count: int, at_a_time: int) -> float:
    """Return how many a second get done."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await act()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_a_time)))
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
