"""Entries of the artifact, made from what the packages room knows of a version."""

from collections.abc import Sequence
from dataclasses import asdict

from packages.bundle.bundle import Bundle
from packages.environment.inventory import Inventory
from runtime.artifact.model import (
    CallableEntry,
    EnvironmentEntry,
    InstalledEntry,
    InstallEntry,
    OverlapEntry,
)
from runtime.values.bounds import MOST_LISTED
from runtime.values.records import PreparedRecord


def environment_entry(inventory: Inventory) -> EnvironmentEntry:
    """Return what the artifact tells of an environment."""
    return EnvironmentEntry(
        key=inventory.key,
        python=inventory.python,
        platform=inventory.platform,
        installed=tuple(
            InstalledEntry.model_validate(asdict(item)) for item in inventory.installed
        ),
        overlaps=tuple(
            OverlapEntry.model_validate(asdict(one)) for one in inventory.overlaps[:MOST_LISTED]
        ),
        overlapping=len(inventory.overlaps),
        sourceless=inventory.sourceless[:MOST_LISTED],
        sourceless_modules=len(inventory.sourceless),
    )


def install_entry(prepared: PreparedRecord, *, duration_ms: float, is_reused: bool) -> InstallEntry:
    """Return how the environment came to be there for an attempt."""
    gate = prepared.install.get("gate")
    return InstallEntry(
        source=str(prepared.install.get("source", "")),
        duration_ms=duration_ms,
        reused=is_reused,
        gate=dict(gate) if isinstance(gate, dict) else {},
    )


def callable_entries(bundle: Bundle) -> Sequence[CallableEntry]:
    """Return the functions that jobs of a bundle run, with the digest of where each is written."""
    targets = [("extract", bundle.manifest.entrypoint)]
    if hook := bundle.on_after_extract:
        targets.append(("on_after_extract", hook.target))
    return [
        CallableEntry(role=role, impl=target, sha256=source.sha256)
        for role, target in targets
        if (source := bundle.source_of(target))
    ]
