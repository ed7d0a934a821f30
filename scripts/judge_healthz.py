"""Measures how long /healthz takes while each costly bundle of the tests is uploaded.

    scripts/judge-costs --healthz [--json] [--only TEXT]

An appliance of its own is started for it. A second connection asks every 5 ms, for as long as the
upload takes and for 200 answers at least.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2

PROJECT = Path(__file__).resolve().parent.parent
LEAST_ANSWERS = 200
EVERY_S = 0.005
GOAL_MS = 50.0


def main() -> int:
    """Measure and print; return 1 where the goal is missed."""
    parser = argparse.ArgumentParser(prog="scripts/judge-costs --healthz", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--only", default="", help="only inputs whose name has this in it")
    told = parser.parse_args()
    figures: list[dict[str, Any]] = []
    with appliance() as (url, at_home):
        for name, upload in uploads(told.only):
            figure = {
                "input": name,
                "goal_ms": GOAL_MS,
                **asked_during(url, upload, at_home=at_home),
            }
            figures.append(figure)
            if not told.json:
                cells = "{input:50.50} {p50_ms:8.1f} {p99_ms:8.1f} {answer}"
                print(cells.format(**figure), flush=True)
    if told.json:
        print(json.dumps({"figures": figures}))
    return 0 if all(figure["p99_ms"] <= GOAL_MS for figure in figures) else 1


def uploads(only: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of nothing, for comparison, and of each costly bundle."""
    sys.path.insert(0, str(PROJECT / "tests"))
    costly: Any = import_module("support.costly")
    yield "nothing", b""
    for name, (_, build) in costly.BUNDLES.items():
        if only in name:
            yield name, build()


@contextmanager
def appliance() -> Iterator[tuple[str, str]]:
    """Offer the address of an appliance, and its socket; its home is gone afterwards."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FUMEHOOD_")}
    with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        command = [Path(sys.executable).with_name("fumehood"), "up", "--port", "0", "--json"]
        process = subprocess.Popen(
            [*command, "--home", f"{folder}/home"],
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield json.loads(line)["url"], f"{folder}/home/fumehood.sock"
        finally:
            process.terminate()
            process.wait()


def asked_during(url: str, upload: bytes, *, at_home: str) -> dict[str, Any]:
    """Return how long /healthz took while `upload` was judged, and what was answered to it."""
    way = httpx2.HTTPTransport(uds=at_home)  # as the owner, who needs no token there
    client = httpx2.Client(base_url=url, timeout=120, trust_env=False, transport=way)
    with client, asking(url) as took_ms:
        answer = client.post("/v1/packages", content=upload).status_code if upload else 0
        while len(took_ms) < LEAST_ANSWERS:
            time.sleep(EVERY_S)
    took_ms.sort()
    p50, p99 = (took_ms[round(part * (len(took_ms) - 1))] for part in (0.5, 0.99))
    return {"p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "answer": answer}


@contextmanager
def asking(url: str) -> Iterator[list[float]]:
    """Ask for /healthz again and again meanwhile; offer how many milliseconds each took."""
    took_ms: list[float] = []
    is_over = threading.Event()

    def ask() -> None:
        with httpx2.Client(base_url=url, timeout=120, trust_env=False) as client:
            while not is_over.wait(EVERY_S):
                started = time.perf_counter()
                client.get("/healthz").raise_for_status()
                took_ms.append((time.perf_counter() - started) * 1000)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took_ms
    finally:
        is_over.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
