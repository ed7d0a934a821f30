"""Known vulnerabilities, from an OSV snapshot that an admin imports; no connection is opened.

advisories                link to the snapshot in force; a rename puts a new one in its place
advisories-<id>/<name>.json    the advisories that touch a distribution
advisories-<id>/snapshot.json  when it was imported, from what, and how many there are
"""

import json
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import TypeAdapter

from wheelhouse.durable import flush_filesystem, folder_aside, remove_tree
from wheelhouse.errors import AdvisoriesRefused
from wheelhouse.locks import exclusive
from wheelhouse.problem import Problem

ECOSYSTEM = "PyPI"
MOST_ADVISORY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """A vulnerability that a version of a distribution has, and the version that mends it."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    severity: str
    name: str
    version: str
    fixed_in: str

    def to_dict(self) -> dict[str, Any]:
        """Return the advisory as plain JSON."""
        return {
            "id": self.id,
            "aliases": list(self.aliases),
            "summary": self.summary,
            "severity": self.severity,
            "name": self.name,
            "version": self.version,
            "fixed_in": self.fixed_in,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was imported: how many advisories for how many distributions, when, of what date."""

    advisories: int
    distributions: int
    imported_at: datetime
    newest: str


SNAPSHOT_JSON = TypeAdapter(Snapshot)


class Advisories:
    """The snapshot kept in `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder

    def import_snapshot(self, source: Path, *, at: datetime) -> Snapshot:
        """Take in an OSV export: a zip, or a folder, of JSON files. Raises AdvisoriesRefused.

        The former snapshot stays until the new one is whole.
        """
        by_name: dict[str, list[dict[str, Any]]] = {}
        count, newest = 0, ""
        for record in _records(source):
            names = {_name(a) for a in record.get("affected", ()) if _is_ours(a)} - {""}
            count += bool(names) and not record.get("withdrawn")
            newest = max(newest, str(record.get("modified", "")))
            for name in names if not record.get("withdrawn") else ():
                by_name.setdefault(name, []).append(record)
        if not count:
            raise AdvisoriesRefused(_fault(f"it has no advisory for {ECOSYSTEM}", source.name))
        snapshot = Snapshot(
            advisories=count, distributions=len(by_name), imported_at=at, newest=newest
        )
        with exclusive(self.folder.with_name(f".{self.folder.name}.lock")):
            self._put(by_name, snapshot)
        return snapshot

    def snapshot(self) -> Snapshot | None:
        """Return what was imported last; None where nothing was."""
        path = self.folder / "snapshot.json"
        if not path.is_file():
            return None
        return SNAPSHOT_JSON.validate_json(path.read_bytes())

    def touching(self, name: str, version: str) -> list[Advisory]:
        """Return what is known against `version` of the distribution `name`."""
        path = self.folder / f"{canonicalize_name(name)}.json"
        if not path.is_file():
            return []
        records = json.loads(path.read_text("utf-8"))
        found = (matched(record, name=name, version=version) for record in records)
        return [advisory for advisory in found if advisory is not None]

    def _put(self, by_name: Mapping[str, list[dict[str, Any]]], snapshot: Snapshot) -> None:
        """Write a snapshot beside the one in force, then point to it; there is always one.

        The one before stays, for who is reading it.
        """
        kin = f"{self.folder.name}-"
        before = self.folder.resolve()
        fresh = self.folder.with_name(f"{kin}{uuid.uuid4().hex}")
        with folder_aside(fresh) as aside:
            for name, records in by_name.items():
                (aside / f"{name}.json").write_text(json.dumps(records), "utf-8")
            (aside / "snapshot.json").write_bytes(SNAPSHOT_JSON.dump_json(snapshot))
            aside.chmod(0o755)
            flush_filesystem(aside)
        link = self.folder.with_name(f".{fresh.name}")
        link.symlink_to(fresh.name)
        link.replace(self.folder)
        for old in self.folder.parent.glob(f"{kin}*"):
            if old != fresh and old.resolve() != before:
                remove_tree(old)


def matched(record: dict[str, Any], *, name: str, version: str) -> Advisory | None:
    """Return the advisory if `record` (OSV schema 1.x) touches this version."""
    ours = [a for a in record.get("affected", ()) if _is_ours(a)]
    touching = [a for a in ours if _name(a) == canonicalize_name(name) and _touches(a, version)]
    if not touching:
        return None
    return Advisory(
        id=str(record.get("id", "")),
        aliases=tuple(record.get("aliases", ())),
        summary=str(record.get("summary") or record.get("details", ""))[:300],
        severity=_severity(record),
        name=canonicalize_name(name),
        version=version,
        fixed_in=_fixed_in(touching, version),
    )


def _touches(affected: dict[str, Any], version: str) -> bool:
    """Return whether `version` is listed, or lies in a range (OSV, "evaluation algorithm")."""
    if version in affected.get("versions", ()):
        return True
    return any(_in_range(events, version) for events in _ranges(affected))


def _in_range(events: list[dict[str, str]], version: str) -> bool:
    here = _version(version)
    is_inside = False
    for event in sorted(events, key=lambda event: _version(next(iter(event.values())))):
        for kind, text in event.items():
            bound = _version(text)
            if kind == "introduced" and here >= bound:
                is_inside = True
            if (kind == "fixed" and here >= bound) or (kind == "last_affected" and here > bound):
                is_inside = False
    return is_inside


def _ranges(affected: dict[str, Any]) -> Iterator[list[dict[str, str]]]:
    for told in affected.get("ranges", ()):
        if told.get("type") == "ECOSYSTEM":
            yield [event for event in told.get("events", ()) if event]


def _fixed_in(affected: Iterable[dict[str, Any]], version: str) -> str:
    """Return the lowest version above `version` that is said to be mended."""
    fixes = [
        event["fixed"]
        for one in affected
        for events in _ranges(one)
        for event in events
        if "fixed" in event and _version(event["fixed"]) > _version(version)
    ]
    return min(fixes, key=_version, default="")


def _severity(record: dict[str, Any]) -> str:
    specific = record.get("database_specific", {}).get("severity")
    scores = [str(s.get("score", "")) for s in record.get("severity", ())]
    return str(specific or (scores[0] if scores else "unknown")).lower()


def _records(source: Path) -> Iterator[dict[str, Any]]:
    """Yield each advisory of a zip or a folder."""
    try:
        if source.is_dir():
            for path in sorted(source.glob("*.json")):
                yield _record(path.read_bytes())
            return
        with zipfile.ZipFile(source) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(".json") and entry.file_size <= MOST_ADVISORY_BYTES:
                    yield _record(archive.read(entry))
    except (OSError, ValueError, NotImplementedError, zlib.error, zipfile.BadZipFile) as error:
        raise AdvisoriesRefused(_fault(f"it cannot be read: {error}", source.name)) from error


def _record(content: bytes) -> dict[str, Any]:
    """Return one advisory. Raises ValueError for what is none: it is judged before it is kept."""
    record = json.loads(content)
    if not isinstance(record, dict):
        raise ValueError("an advisory is not a JSON object")
    told = cast(dict[str, Any], record)
    try:
        for affected in told.get("affected", ()):
            matched({**told, "affected": [affected]}, name=_name(affected), version="1")
    except (AttributeError, TypeError, KeyError, StopIteration) as error:
        raise ValueError(f"{told.get('id')} is not in OSV's schema: {error!r}") from error
    return told


def _is_ours(affected: dict[str, Any]) -> bool:
    return affected.get("package", {}).get("ecosystem") == ECOSYSTEM


def _name(affected: dict[str, Any]) -> str:
    """Return whom it touches; empty for what is no name of a distribution."""
    try:
        return canonicalize_name(str(affected.get("package", {}).get("name", "")), validate=True)
    except InvalidName:
        return ""


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def _fault(what: str, where: str) -> Problem:
    mend = "give the zip of all advisories for PyPI that OSV publishes (all.zip), unaltered"
    return Problem(code="not-an-osv-snapshot", what=what, where=where, mend=mend)
