"""Is an environment what was built? Every file is held against what its wheels hold."""

import os
import posixpath
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from packages.environment.inventory import FILE, INVENTORY_JSON, Installed, Inventory
from packages.environment.linking import WheelFiles, plan, site_packages_of
from packages.environment.sharing import PLACE
from packages.errors import PackageError
from packages.interpreters import cache_tag
from packages.lock.lock import FILE as LOCK_FILE
from packages.lock.lock import read_lock
from sandbox.command import Interpreter
from wheelhouse.errors import WheelhouseError
from wheelhouse.metadata.record import read_record, record_digest
from wheelhouse.problem import Problem
from wheelhouse.store import Wheelhouse
from wheelhouse.unpacked import bytecode_folder, read_unpacked, unpacked_folder

OURS = frozenset({FILE, LOCK_FILE, "pyvenv.cfg"})

type Expected = dict[str, tuple[int, str]]
"""The size and the digest, as RECORD spells it, of each file, by its path in the environment."""


def verify_environment(folder: Path, *, wheelhouse: Wheelhouse, is_full: bool) -> list[Problem]:
    """Return a problem for each file that is missing, altered, or should not be there.

    A full look computes each SHA-256; otherwise sizes are compared, which takes milliseconds.
    """
    key = folder.name
    try:
        inventory = INVENTORY_JSON.validate_json((folder / FILE).read_bytes())
        lock = read_lock((folder / LOCK_FILE).read_text("utf-8"))
    except (OSError, ValueError, PackageError) as error:
        return [_damaged(key, FILE, f"it cannot be read: {error}")]
    if lock.digest != inventory.lock_digest:
        return [_damaged(key, LOCK_FILE, "it is not the lock that was installed")]
    expected, is_complete = _expected(folder, inventory, wheelhouse)
    problems = list(_compare(folder, expected, is_full=is_full))
    if is_complete:
        problems += _extra(folder, expected, key=key)
        site = site_packages_of(_interpreter(inventory))
        for name in inventory.shared:
            shared = folder.parent / PLACE / name
            problems += _extra(shared, _below(expected, site), key=key)
    return problems


def _expected(folder: Path, inventory: Inventory, wheelhouse: Wheelhouse) -> tuple[Expected, bool]:
    """Return what should be there, and whether that is everything.

    A wheel that has left the house is known by the RECORD in the environment alone.
    """
    interpreter = _interpreter(inventory)
    wheels: list[WheelFiles] = []
    recorded: Expected = {}
    for item in inventory.installed:
        try:
            wheels += _wheels_of(wheelhouse, item, interpreter)
        except (WheelhouseError, OSError, ValueError):
            recorded |= _recorded(folder, item, site_packages_of(interpreter))
    planned = plan(wheels, interpreter=interpreter)
    expected = {
        f"{bunch.target}/{file.name}".lstrip("/"): (file.size_bytes, file.sha256)
        for bunch in planned.bunches
        for file in bunch.files
    }
    return {**recorded, **expected}, not recorded


def _wheels_of(
    wheelhouse: Wheelhouse, item: Installed, interpreter: Interpreter
) -> list[WheelFiles]:
    wheel = wheelhouse.get(item.sha256, name=item.name)
    tag = cache_tag(interpreter)
    folders = (
        unpacked_folder(wheelhouse, wheel),
        bytecode_folder(wheelhouse, wheel, cache_tag=tag),
    )
    return [WheelFiles(name=item.name, unpacked=read_unpacked(folder)) for folder in folders]


def _recorded(folder: Path, item: Installed, site: str) -> Expected:
    """Return what the installed RECORD of a distribution says; itself first, if it is gone."""
    name = item.wheel.split("-")[0]
    found = sorted((folder / site).glob(f"{name}-*.dist-info/RECORD"))
    if not found:
        return {f"{site}/{name}-{item.version}.dist-info/RECORD": (0, "")}
    lines = read_record(found[0].read_text("utf-8"))
    return {
        posixpath.normpath(f"{site}/{line.path}"): (line.size, line.digest)
        for line in lines
        if line.size is not None
    }


def _compare(folder: Path, expected: Expected, *, is_full: bool) -> Iterator[Problem]:
    for path, (size, digest) in expected.items():
        try:
            told = os.lstat(f"{folder}/{path}")
        except OSError:
            yield _damaged(folder.name, path, "it is missing")
            continue
        if told.st_size != size:
            yield _damaged(folder.name, path, f"it has {told.st_size} bytes, not {size}")
        elif is_full and record_digest((folder / path).read_bytes()) != digest:
            yield _damaged(folder.name, path, "it is not what was installed")


def _extra(folder: Path, expected: Container[str], *, key: str) -> Iterator[Problem]:
    """Yield a problem for each file that nobody expects; links to folders are not followed."""
    begin = len(f"{folder}/")
    for root, _, names in os.walk(folder):
        for name in names:
            path = f"{root}/{name}"[begin:]
            is_known = path in expected or path in OURS
            if not is_known and not (folder / path).is_symlink():
                yield _damaged(key, path, "nothing that was installed brings it")


def _below(expected: Iterable[str], site: str) -> set[str]:
    return {path[len(site) + 1 :] for path in expected if path.startswith(f"{site}/")}


def _interpreter(inventory: Inventory) -> Interpreter:
    """Return an interpreter that lays out as the one that was used did."""
    nowhere = Path("/nonexistent")
    return Interpreter(
        executable=nowhere, prefix=nowhere, version=inventory.python, soabi=inventory.soabi
    )


def _damaged(key: str, path: str, what: str) -> Problem:
    mend = f"`fumehood env verify --repair {key[:16]}` builds it anew from its lock"
    return Problem(code="environment-damaged", what=what, where=f"{key[:12]}: {path}", mend=mend)
