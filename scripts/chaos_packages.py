"""Kills import, lock, build and activation at random moments; then looks and tries again.

    scripts/chaos packages [--kills N] [--seed N] [--json]

Each round starts a child that imports carried wheels, locks, builds an environment and
prepares a version in a fresh home, and kills it (SIGKILL) at a random moment of that work.
Then every wheel, every unpacked wheel and every environment must be whole or absent, and
the same work must come to its end. Prints {"kills", "torn", "failed_retries"}.
"""

import argparse
import asyncio
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from packages.archive import Bundles, receive
from packages.environment.building import Builder
from packages.environment.environment import Environments
from packages.environment.maintenance import listing
from packages.environment.maintenance import verify as verify_environment
from packages.lock.grant import GateState
from packages.lock.locker import Locker
from packages.preparation import Workshop, prepare
from sandbox.sandbox import Sandbox
from wheelhouse.carrier.carry import export_wheels, import_wheels
from wheelhouse.durable import remove_tree
from wheelhouse.metadata.record import record_digest
from wheelhouse.store import Origin, Wheelhouse
from wheelhouse.unpacked import read_unpacked, verify_unpacked
from wheelhouse.upkeep import verify as verify_house

NAMES = ("alpha", "beta", "gamma", "delta")


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def wheel_of(folder: Path, name: str) -> Path:
    """Write a wheel with a few dozen modules, which needs the one before it."""
    info = f"{name}-1.0.dist-info"
    before = NAMES[max(0, NAMES.index(name) - 1)]
    needs = f"Requires-Dist: {before}\n" if before != name else ""
    held = {f"{name}/m{n}.py": f"def f{n}():\n    return {n}\n" * 20 for n in range(40)}
    held[f"{name}/__init__.py"] = ""
    held[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}"
    held[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    lines = [f"{p},sha256={record_digest(t.encode())},{len(t)}" for p, t in held.items()]
    held[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inner, text in held.items():
            archive.writestr(inner, text)
    return path


def bundle_of() -> bytes:
    """Return a bundle that needs all the wheels, with a hook that leaves data."""
    hook = (
        "def run(*, context, **_):\n"
        "    import delta.m1\n"
        "    (context.output_dir / 'd.txt').write_text('d' * 5000)\n"
    )
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("manifest.json", '{"schema": 1, "name": "chaos", "version": "1.0"}')
        archive.writestr("requirements.txt", NAMES[-1])
        archive.writestr("extract.py", "def extract(*, job, **_):\n    return None\n")
        archive.writestr("hooks/on_activate.py", hook)
    return target.getvalue()


def carrier_of(folder: Path) -> tuple[Path, bytes]:
    """Return a signed archive of the wheels, and the public key of who signed it."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    house = Wheelhouse(folder / "there")
    origin = Origin(kind="uploaded", at=utc_now(), by="chaos")
    for name in NAMES:
        house.add(wheel_of(folder, name), origin=origin)
    path = folder / "carrier.tar"
    export_wheels(house, house.wheels(), to=path, private_key_pem=private, at=utc_now())
    return path, public


async def work(home: Path, carrier: Path, public: bytes, started: Callable[[], None]) -> None:
    """Do everything once: import, receive, lock, build, activate."""
    house = Wheelhouse(home / "wheelhouse")
    sandbox = await Sandbox.open(home)
    try:
        started()
        import_wheels(house, carrier, public_keys_pem=[public], clock=utc_now, by="chaos")
        bundle = receive(io.BytesIO(bundle_of()), bundles=Bundles(home / "bundles"))
        builder = Builder(wheelhouse=house, run=sandbox.run, clock=utc_now)
        environments = Environments(root=home / "environments", builder=builder)
        workshop = Workshop(
            wheelhouse=house,
            locker=Locker(wheelhouse=house, clock=utc_now),
            environments=environments,
            run=sandbox.run,
            data_root=home / "data",
        )
        await prepare(bundle, workshop=workshop, gate=GateState())
    finally:
        await sandbox.close()


async def no_run(*_: object, **__: object) -> None:
    """Run nothing: looking at what is there needs no cell."""
    raise AssertionError("nothing is run while looking")


def torn(home: Path) -> list[str]:
    """Return what is there and not whole."""
    house = Wheelhouse(home / "wheelhouse")
    found = [problem.what for problem in verify_house(house)]
    for place in ("unpacked/*", "bytecode/*/*"):
        for folder in (home / "wheelhouse").glob(place):
            if not folder.name.startswith("."):
                found += [f"{folder}: {path}" for path in verify_unpacked(read_unpacked(folder))]
    builder = Builder(wheelhouse=house, run=no_run, clock=utc_now)  # type: ignore[arg-type]
    environments = Environments(root=home / "environments", builder=builder)
    for path in (home / "environments").glob("*"):
        if not path.name.startswith(".") and not environments.is_there(path.name):
            found.append(f"{path} is not whole")
    for kept in listing(environments):
        found += [problem.what for problem in verify_environment(environments, kept.key)]
    bundles = Bundles(home / "bundles")
    for digest in bundles.digests():
        bundle = bundles.open(digest)
        made = [p for p in bundle.folder.parent.glob("runnable/*") if not p.name.startswith(".")]
        for folder in (bundle.folder, *made):
            missing = [f.path for f in bundle.files if not (folder / f.path).is_file()]
            found += [f"{folder}: {path} is missing" for path in missing]
        found += [f"{folder} has no bytecode" for folder in made if not any(folder.rglob("*.pyc"))]
    return found


def in_child(action: Callable[[int], None]) -> tuple[int, int]:
    """Fork a child that runs `action` with a pipe's end; return its pid and the other end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    code = 1
    try:
        os.setsid()
        action(writing)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def killed_once(home: Path, carrier: Path, public: bytes, delay_s: float) -> bool:
    """Start the work and kill it `delay_s` after it began; return whether it was still there."""

    def begin(pipe: int) -> None:
        asyncio.run(work(home, carrier, public, lambda: bool(os.write(pipe, b"."))))

    child, pipe = in_child(begin)
    os.read(pipe, 1)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(pipe)
    return os.WIFSIGNALED(status)


def retried(home: Path, carrier: Path, public: bytes) -> tuple[bool, float]:
    """Do the work to its end; return whether it succeeded, and how many seconds it took."""

    def all_of_it(pipe: int) -> None:
        asyncio.run(work(home, carrier, public, lambda: bool(os.write(pipe, b"."))))

    child, pipe = in_child(all_of_it)
    os.read(pipe, 1)
    started = time.perf_counter()
    _, status = os.waitpid(child, 0)
    os.close(pipe)
    return os.waitstatus_to_exitcode(status) == 0, time.perf_counter() - started


def rounds(folder: Path, *, kills: int, seed: int) -> dict[str, int]:
    """Run until `kills` children were killed at work; return what came of it."""
    chance = random.Random(seed)
    carrier, public = carrier_of(folder)
    first = folder / "first"
    first.mkdir(mode=0o755)
    is_fine, longest_s = retried(first, carrier, public)
    if not is_fine:
        raise SystemExit("the work does not come to its end even when nobody kills it")
    told = {"kills": 0, "torn": 0, "failed_retries": 0}
    number = 0
    while told["kills"] < kills:
        number += 1
        home = folder / str(number)
        home.mkdir(mode=0o755)
        if not killed_once(home, carrier, public, chance.uniform(0, longest_s)):
            continue
        told["kills"] += 1
        for what in torn(home):
            print(f"torn: {what}", file=sys.stderr)
            told["torn"] += 1
        is_fine, _ = retried(home, carrier, public)
        told["failed_retries"] += not is_fine or bool(torn(home))
    return told


def main() -> int:
    """Kill, look, try again; exit 1 where anything was torn or a retry failed."""
    parser = argparse.ArgumentParser(
        prog="scripts/chaos packages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fumehood-chaos-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        told = rounds(folder, kills=chosen.kills, seed=chosen.seed)
        print(json.dumps(told) if chosen.json else told, flush=True)
    finally:
        remove_tree(folder)
    return 1 if told["torn"] or told["failed_retries"] else 0


if __name__ == "__main__":
    sys.exit(main())
