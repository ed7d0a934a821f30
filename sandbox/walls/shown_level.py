"""The best level that a host has shown: to fall below it is no choice that a neighbour may make.

An import of somebody else may use up what a user may have of namespaces (user_namespaces(7),
ENOSPC), and the next worker would find a host that seems to have none. A level is a fact of the
host, and not of the hour.
"""

import json
import os
import secrets
from pathlib import Path
from typing import cast

from sandbox.command import Level


def note(file: Path, level: Level) -> Level:
    """Note in `file` that this host shows `level`; return the best that it ever has.

    A home that has moved to another host, or to another user, begins anew. Raises OSError.
    """
    host = _host()
    shown = _read(file)
    best = shown.get(host, level)
    if not best.at_least(level) or host not in shown:
        best = level
        _write(file, {host: best})
    return best


def least(demanded: Level, *, shown: Level, is_demanded_on_purpose: bool) -> Level:
    """Return the level below which nothing runs: what the host has shown, unless told otherwise."""
    if is_demanded_on_purpose or demanded.at_least(shown):
        return demanded
    return shown


def _host() -> str:
    """Return what tells this host and user from others (machine-id(5))."""
    for path in ("/etc/machine-id", "/proc/sys/kernel/hostname"):
        try:
            name = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if name:
            return f"{name}/{os.geteuid()}"
    return f"?/{os.geteuid()}"


def _read(file: Path) -> dict[str, Level]:
    """Return what was noted; what cannot be read was not."""
    try:
        found: object = json.loads(file.read_text(encoding="utf-8"))
        noted = cast("dict[str, str]", found) if isinstance(found, dict) else {}
        return {host: Level(level) for host, level in noted.items()}
    except (OSError, ValueError):
        return {}


def _write(file: Path, levels: dict[str, Level]) -> None:
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as text:
        json.dump(levels, text)
    fresh.replace(file)
