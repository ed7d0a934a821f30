"""`fumehood`, with counters around what costs: they are written to the file BENCH_COUNTS.

It runs as always, but for a process beside it that writes, where nothing could be counted;
`scripts/bench jobs --attribute` starts it.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from runtime.cli.main import main
from runtime.store.databases.sqlite import SqliteReader, SqliteWriter
from runtime.store.statements.drivers import SqliteDriver

EVERY_S = 0.2


def _counted(counts: Counter[str], name: str, act: Callable[..., Any]) -> Callable[..., Any]:
    def counting(*args: Any, **kwargs: Any) -> Any:
        counts[name] += 1
        return act(*args, **kwargs)

    return counting


def _count_everything(counts: Counter[str]) -> None:
    """Count what costs, wherever it is done."""
    for of, name in ((SqliteWriter, "commit"), (SqliteReader, "ask")):
        setattr(of, name, _counted(counts, "transactions", getattr(of, name)))
    ways = ((DefaultDialect, "do_execute"), (DefaultDialect, "do_executemany"))
    short = ((SqliteDriver, name) for name in ("first", "all", "run", "run_each"))
    for of, name in (*ways, *short):
        setattr(of, name, _counted(counts, "statements", getattr(of, name)))
    for name in ("fsync", "fdatasync"):
        setattr(os, name, _counted(counts, "flushes (fsync)", getattr(os, name)))
    submit = _counted(counts, "hops to a pool of threads", ThreadPoolExecutor.submit)
    ThreadPoolExecutor.submit = submit  # pyright: ignore[reportAttributeAccessIssue]
    loop = asyncio.BaseEventLoop
    loop.call_soon_threadsafe = _counted(  # pyright: ignore[reportAttributeAccessIssue]
        counts, "wake-ups from a thread", loop.call_soon_threadsafe
    )


def _write_forever(counts: Counter[str], *, to: Path) -> None:
    while True:
        told = dict(counts) | _cpu_by_part()
        aside = to.with_suffix(".new")
        aside.write_text(json.dumps(told))
        aside.replace(to)
        time.sleep(EVERY_S)


def _cpu_by_part() -> dict[str, float]:
    """Return the milliseconds of processor time of each thread of ours, by name, and of cells."""
    tick_ms = 1000 / os.sysconf("SC_CLK_TCK")
    parts: Counter[str] = Counter()
    for thread in threading.enumerate():
        name = f"cpu ms: {thread.name.rstrip('0123456789').rstrip('_- ')}"
        try:
            text = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        parts[name] += round((int(fields[11]) + int(fields[12])) * tick_ms)
    children = os.times()
    parts["cpu ms: children that ended"] = round(
        (children.children_user + children.children_system) * 1000
    )
    return dict(parts)


def _serve_counted() -> None:
    """Be `fumehood`, and count."""
    counts: Counter[str] = Counter()
    _count_everything(counts)
    to = Path(os.environ.pop("BENCH_COUNTS"))
    writer = threading.Thread(target=_write_forever, args=(counts,), kwargs={"to": to}, daemon=True)
    writer.name = "the counting itself"
    writer.start()
    sys.argv[0] = "fumehood"
    main()


if __name__ == "__main__":
    _serve_counted()
