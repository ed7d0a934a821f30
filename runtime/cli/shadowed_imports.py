"""Checks that the rooms are ours: flat import names could be shadowed by another distribution."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

from runtime.faults.errors import ShadowedImport

ROOMS = ("runtime", "sandbox", "packages", "wheelhouse", "frozen")


def check_not_shadowed() -> None:
    """Raise ShadowedImport unless every room was imported from the same place as this module."""
    home = Path(__file__).resolve().parents[2]
    for name in ROOMS:
        folder = _folder(importlib.import_module(name))
        if folder != home / name:
            raise ShadowedImport(
                f"the room {name} was imported from {folder}, not from {home / name}",
                where=str(folder),
                mend="install fumehood into an environment of its own (uv tool, scripts/run)",
            )
    if not _is_installed():
        raise ShadowedImport(
            "the distribution fumehood is not installed here",
            where=str(home),
            mend="start the appliance by its console script, as scripts/run does",
        )


def _is_installed() -> bool:
    """Return whether our distribution is on the path.

    Each command asks this first, and importlib.metadata, which knows, takes 45 ms to import.
    """
    return any(any(Path(place).glob("fumehood-*.dist-info")) for place in sys.path)


def _folder(room: ModuleType) -> Path:
    return Path(room.__file__ or "").resolve().parent
