"""Measures what it costs to read each of the costly inputs of the tests, with no judge around it.

    scripts/judge-costs [--json] [--only TEXT] [--before FOLDER] [--patience SECONDS]

Each is read by the function that a judge would call, in a process of its own: once for time and
memory, and once more to count the lines of Python that it takes. What takes longer than patience,
or more than 4 GiB, is killed, and said to be more.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
MOST_BYTES = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What reading one input took; `ending` says how it ended where that is not by itself."""

    steps: int | None = None
    peak_mb: float | None = None
    ms: float | None = None
    ending: str = ""

    def __str__(self) -> str:
        """Return the cost as the cells of a table."""
        if self.ending:
            return f"{self.ending:>34}"
        return f"{self.steps or 0:>12,} {self.peak_mb:>9.0f} {self.ms:>11,.0f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/judge-costs", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--only", default="", help="only inputs whose name has this in it")
    parser.add_argument("--before", type=Path, help="another check-out, to be measured too")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds for each input")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.one:
        print(json.dumps(read_one(told.one[0], Path(told.one[1]), counts=told.count)))
        return
    rooms = [PROJECT, *([told.before.resolve()] if told.before else [])]
    figures: list[dict[str, object]] = []
    if not told.json:
        print(f"{'input':58} {'bytes':>9} {'steps':>12} {'peak MB':>9} {'ms':>11}")
    for name, kind, path in inputs(told.only):
        costs = [measured(kind, path, rooms=room, patience_s=told.patience) for room in rooms]
        size = path.stat().st_size
        figures.append({"input": name, "bytes": size, "costs": [asdict(cost) for cost in costs]})
        if not told.json:
            print(f"{name[:58]:58} {size:>9,} " + "  before: ".join(map(str, costs)), flush=True)
    if told.json:
        print(json.dumps({"figures": figures}))


def inputs(only: str) -> Iterator[tuple[str, str, Path]]:
    """Yield name, kind and file of each costly input."""
    sys.path.insert(0, str(PROJECT / "tests"))
    costly: Any = import_module("support.costly")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made: dict[str, tuple[str, Callable[[], bytes | Path]]] = {}
        for title, (_, build) in costly.BUNDLES.items():
            made[f"bundle, {title}"] = "bundle", build
        for title, (_, build_wheel) in costly.WHEELS.items():
            made[f"wheel, {title}"] = "wheel", lambda b=build_wheel: b(folder)
        for title, (_, text) in costly.LOCKS.items():
            made[f"lock, {title}"] = "lock", lambda t=text: t.encode()
        for title, (_, build) in costly.SNAPSHOTS.items():
            made[f"snapshot, {title}"] = "snapshot", build
        made["job, 1,000 names of inputs"] = (
            "names",
            lambda: "\n".join(map(str, range(1000))).encode(),
        )
        for title, (kind, make) in made.items():
            if only in title:
                yield title, kind, _file(make(), folder / kind)


def _file(made: bytes | Path, path: Path) -> Path:
    if isinstance(made, Path):
        return made
    path.write_bytes(made)
    return path


def measured(kind: str, path: Path, *, rooms: Path, patience_s: float) -> Cost:
    """Return what it costs the code in `rooms` to read the input at `path`."""
    plain = _run(kind, path, rooms=rooms, patience_s=patience_s)
    if isinstance(plain, str):
        return Cost(ending=plain)
    counted = _run(kind, path, rooms=rooms, patience_s=20 * patience_s, options=["--count"])
    steps = None if isinstance(counted, str) else int(counted["steps"])
    return Cost(steps=steps, peak_mb=plain["peak_kb"] / 1024, ms=plain["ms"])


def _run(
    kind: str, path: Path, *, rooms: Path, patience_s: float, options: list[str] | None = None
) -> dict[str, float] | str:
    """Read the input in a process of its own; return the figures, or how it ended."""
    argv = [sys.executable, "-P", __file__, "--one", kind, str(path), *(options or [])]
    environment = {**os.environ, "PYTHONPATH": str(rooms)}
    try:
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=patience_s, check=False
        )
    except subprocess.TimeoutExpired:
        return f"more than {patience_s:.0f} s"
    return json.loads(done.stdout) if done.returncode == 0 else f"ended by {done.returncode}"


def read_one(kind: str, path: Path, *, counts: bool) -> dict[str, float | str]:
    """Read one input here; return what it took."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        reading = reader(kind, path, Path(folder))
        steps = _counting() if counts else [0]
        started = time.perf_counter()
        said = ""
        try:
            reading()
        except Exception as error:
            said = type(error).__name__
        ms = (time.perf_counter() - started) * 1000
        if counts:
            sys.monitoring.set_events(sys.monitoring.PROFILER_ID, 0)
    return {"ms": ms, "peak_kb": _peak_kb(), "steps": steps[0], "said": said}


def _peak_kb() -> int:
    """Return the peak of this program (VmHWM, proc(5)); getrusage(2) has the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _counting() -> list[int]:
    """Count from now on each line of Python that is run."""
    steps = [0]

    def line(*_: object) -> None:
        steps[0] += 1

    monitoring = sys.monitoring
    monitoring.use_tool_id(monitoring.PROFILER_ID, "judge-costs")
    monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.LINE, line)
    monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.LINE)
    return steps


def reader(kind: str, path: Path, folder: Path) -> Callable[[], object]:
    """Return what reads an input of that kind, in this version or the one before judges."""
    match kind:
        case "bundle":
            return _bundle_reader(path, folder)
        case "wheel":
            judge_wheel: Any = _named("wheelhouse.metadata.wheel:judge_wheel")
            return lambda: judge_wheel(path)
        case "lock":
            read_pylock: Any = _named("packages.lock.lock:read_pylock")
            return lambda: read_pylock(path.read_text())
        case "snapshot":
            return _snapshot_reader(path, folder)
        case _:
            return _names_reader(path.read_text().splitlines())


def _named(target: str) -> Any:
    """Return what is called so in the rooms that are measured; None where there is none."""
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None


def _bundle_reader(path: Path, folder: Path) -> Callable[[], object]:
    if judge := _named("packages.judging:judge_bundle"):
        return lambda: judge(str(path), folder=str(folder / "files"), name="upload", ceilings={})
    check: Any = _named("packages.archive:check")
    return lambda: check(path.open("rb"))


def _snapshot_reader(path: Path, folder: Path) -> Callable[[], object]:
    if judge := _named("wheelhouse.advisories.snapshot_judging:judge_snapshot"):
        return lambda: judge(str(path), folder=str(folder / "names"))
    advisories: Any = _named("wheelhouse.advisories.advisories:Advisories")
    at = datetime.now(UTC)
    return lambda: advisories(folder / "advisories").import_snapshot(path, at=at)


def _names_reader(names: list[str]) -> Callable[[], object]:
    if taking := _named("runtime.jobs.orders.submission:InputNames"):
        taken = taking(most=1000)
        return lambda: [taken.take(name) for name in names]
    judge: Any = _named("runtime.jobs.orders.submission:judge_input_names")
    return lambda: [judge(names[:n], most=1000) for n in range(1, len(names) + 1)]


if __name__ == "__main__":
    main()
