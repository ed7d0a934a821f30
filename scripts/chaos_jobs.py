"""Runs jobs for several clients while things are killed; then asks whether all was told truly.

    scripts/chaos jobs [--kills N] [--jobs M] [--backend embedded|full] [--beside REVISION]
                       [--seed N] [--json]

Clients submit, read, cancel and retry jobs of a served appliance, and write down what they asked
and were told. Meanwhile the appliance and its cells are killed (SIGKILL) at random moments, it
stands still, its clock is set (with libfaketime, where it is), and its disk is full (as root, on a
small one). `--backend full` has a worker elsewhere that all of this happens to, and a Redis, a
PostgreSQL and a bucket, which die, forget, hang up or are away. With `--beside` both are now of
this version and now of another. Each kind happens once, and then by chance. Afterwards a pure
checker decides whether some serial order explains what everybody was told, and whether each
accepted job has one end, with its outputs, its artifact and its hook.

Prints {"accepted", "published", "lost", "doubled", "unexplained", "kills", "faults"}; exits 1 where
anything is lost, doubled or unexplained. What is wrong is told on stderr, with the name of a file
that has all that was asked and told, one JSON object a line, and the logs beside it; `--judge FILE`
judges such a file once more.
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from wheelhouse.durable import remove_tree

PROJECT = Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT / "tests"))
CLIENTS = 12
DISK_MB = 1024
PACKAGE = "chaos-jobs"
EXTRACT = """import random
import time


def extract(*, job, **_):
    time.sleep(random.uniform(0, 0.3))
    (job.output_dir / "out.txt").write_text(job.parameters["key"])
    if random.random() < 0.05:
        raise RuntimeError("now and then a package fails")
    return job.parameters["key"]
"""
HOOK = "def run(*, context, outcome, **_):\n    return {'notes': outcome['state']}\n"


def part(name: str) -> Any:
    """Return a module of what chaos is made of, which lies among the tests' support."""
    return import_module(f"support.chaos.{name}")


def bundle() -> bytes:
    """Return the bundle that all jobs are of."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        manifest = {"schema": 1, "name": PACKAGE, "version": "1.0"}
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("extract.py", EXTRACT)
        archive.writestr("hooks/on_after_extract.py", HOOK)
    return content.getvalue()


def activate(home: Path) -> None:
    """Upload the bundle, and wait until its version is active."""
    with part("clients").at_home(home) as http:
        http.post("/v1/packages", content=bundle()).raise_for_status()
        path = f"/v1/packages/{PACKAGE}/versions/1.0/activate"
        place = http.post(path).headers["location"]
        while (told := http.get(place).json())["state"] in {"queued", "running"}:
            time.sleep(0.05)
    if told["state"] != "succeeded":
        raise SystemExit(f"the package does not become active: {told}")


@contextmanager
def folder_for(disk_mb: int) -> Iterator[Path]:
    """Offer a folder, on a file system of its own where `disk_mb` says how large; it goes again."""
    folder = Path(tempfile.mkdtemp(prefix="fumehood-chaos-", dir="/var/tmp"))
    folder.chmod(0o755)
    inner = folder / "disk"
    inner.mkdir()
    try:
        if disk_mb:
            size = f"size={disk_mb}m,mode=0755"
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(inner)], check=True)
        yield inner
    finally:
        if disk_mb:
            subprocess.run(["umount", "-l", str(inner)], check=True)
        remove_tree(folder)


def versions_for(folder: Path, *, beside: str) -> tuple[Path, ...]:
    """Return the programs that run side by side: ours, and that of the revision `beside`."""
    ours = part("processes").FUMEHOOD
    if not beside:
        return (ours,)
    return (ours, part("versions").installed(beside, folder=folder.with_name("beside")))


def chaos(wanted: Any, *, backend: str, jobs: int, kills: int, seed: int) -> dict[str, Any]:
    """Let clients work until all jobs have ended and so many were killed; judge what they saw."""
    home = wanted.folder / "home"
    keys = [f"{seed}-{number}" for number in range(jobs)]
    crowd = part("clients").Crowd(home=home, package=PACKAGE, keys=keys, seed=seed)
    evidence = part("record").Evidence(history=crowd.history)
    with (
        part("backends").BACKENDS[backend](wanted) as scene,
        evidence.kept_where_needed(scene.logs),
    ):
        activate(home)
        chance = random.Random(seed)
        deck = part("faults").Deck(scene.faults, chance=chance)
        crowd.start(clients=CLIENTS)
        killed = 0
        while crowd.is_busy:
            time.sleep(chance.uniform(0.0, 0.6))
            # As many as of all kills as of all jobs: what is killed shall have been at work.
            if deck.has_unseen or killed < kills * (1 - len(keys) / jobs):
                struck, died = deck.strike()
                evidence.struck.append(struck)
                killed += died
        verdict = verdict_of(crowd)
        evidence.is_needed = not verdict.is_fine
    counted = Counter(one.name for one in evidence.struck)
    return told_of(verdict) | {
        "kills": killed,
        "faults": {name: counted[name] for name in scene.faults},
    }


def verdict_of(crowd: Any) -> Any:
    """Return what the checker finds once all is quiet; print what is wrong."""
    for fault in crowd.faults:
        raise fault
    part("clients").look_at_all(crowd.home, crowd.history)
    return printed(part("checker").judge(crowd.history))


def printed(verdict: Any) -> Any:
    """Print what is wrong on stderr; return the verdict."""
    for what in (*verdict.lost, *verdict.doubled, *verdict.unexplained):
        print(what, file=sys.stderr)
    return verdict


def told_of(verdict: Any) -> dict[str, int]:
    """Return what is told of a verdict."""
    return {
        "accepted": verdict.accepted,
        "published": verdict.published,
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "unexplained": len(verdict.unexplained),
    }


def main() -> int:
    """Run, judge, tell; exit 1 where something is wrong."""
    parser = argparse.ArgumentParser(
        prog="scripts/chaos jobs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--backend", choices=sorted(part("backends").BACKENDS), default="embedded")
    disk = {"type": int, "default": DISK_MB if os.geteuid() == 0 else 0}
    parser.add_argument("--disk-mb", **disk, help="a small disk, full at times; 0 for none")
    beside = (
        "a revision of which a process is, now and then, as in a rolling update; HEAD for our own"
    )
    parser.add_argument("--beside", default="", metavar="REVISION", help=beside)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--judge", type=Path, help="a history that was kept, to be judged again")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    if chosen.judge:
        told = told_of(printed(part("checker").judge(part("record").kept(chosen.judge))))
        print(json.dumps(told))
        return 1 if told["lost"] or told["doubled"] or told["unexplained"] else 0
    with folder_for(chosen.disk_mb) as folder:
        wanted = part("backends").Wanted(
            folder=folder,
            programs=versions_for(folder, beside=chosen.beside),
            is_small_disk=bool(chosen.disk_mb),
            clock=part("clocks").Clock(file=folder / "clock"),
        )
        told = chaos(
            wanted,
            backend=chosen.backend,
            jobs=chosen.jobs,
            kills=chosen.kills,
            seed=chosen.seed,
        )
    print(json.dumps(told) if chosen.json else told, flush=True)
    return 1 if told["lost"] or told["doubled"] or told["unexplained"] else 0


if __name__ == "__main__":
    sys.exit(main())
