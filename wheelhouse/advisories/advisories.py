"""Known vulnerabilities, from an OSV snapshot that an admin imports; no connection is opened.

advisories                link to the snapshot in force; a rename puts a new one in its place
advisories-<id>/names/<name>.json    what is known against a distribution
advisories-<id>/snapshot.json  when it was imported, from what, and how many there are
"""

import json
import uuid
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from packaging.utils import canonicalize_name
from pydantic import TypeAdapter

from frozen.values import frozen
from wheelhouse.advisories.osv import Advisory, matched
from wheelhouse.advisories.snapshot_judging import SNAPSHOT
from wheelhouse.durable import flush_filesystem, folder_aside, remove_tree
from wheelhouse.errors import AdvisoriesRefused
from wheelhouse.judges.pool import Judges
from wheelhouse.locks import exclusive

NAMES = "names"
"""The folder of the distributions: one of them may be called snapshot."""
MOST_NAME_CHARS = 200


@frozen
class Snapshot:
    """What was imported: how many advisories for how many distributions, when, of what date."""

    advisories: int
    distributions: int
    imported_at: datetime
    newest: str


SNAPSHOT_JSON = TypeAdapter(Snapshot)


class Advisories:
    """The snapshot kept in `folder`."""

    def __init__(self, folder: Path, *, judges: Judges | None = None):
        self.folder = folder
        self._judges = judges or Judges()

    def import_snapshot(self, source: Path, *, at: datetime) -> Snapshot:
        """Take in an OSV export: a zip, or a folder, of JSON files. Raises AdvisoriesRefused.

        The former snapshot stays until the new one is whole.
        """
        fresh = self.folder.with_name(f"{self.folder.name}-{uuid.uuid4().hex}")
        with folder_aside(fresh) as aside:
            names = str((aside / NAMES).resolve())
            told, problems = self._judges.judge(
                SNAPSHOT, about=source.name, source=str(source.resolve()), folder=names
            )
            if told is None or problems:
                raise AdvisoriesRefused(*problems)
            snapshot = Snapshot(imported_at=at, **asdict(told))
            (aside / "snapshot.json").write_bytes(SNAPSHOT_JSON.dump_json(snapshot))
            aside.chmod(0o755)
            flush_filesystem(aside)
        with exclusive(self.folder.with_name(f".{self.folder.name}.lock")):
            self._point_to(fresh)
        return snapshot

    def snapshot(self) -> Snapshot | None:
        """Return what was imported last; None where nothing was."""
        path = self.folder / "snapshot.json"
        if not path.is_file():
            return None
        return SNAPSHOT_JSON.validate_json(path.read_bytes())

    def touching(self, name: str, version: str) -> list[Advisory]:
        """Return what is known against `version` of the distribution `name`."""
        canonical = canonicalize_name(name)
        path = self.folder / NAMES / f"{canonical}.json"
        if not (self.folder / NAMES).is_dir() and canonical != "snapshot":
            path = self.folder / f"{canonical}.json"  # imported by an earlier version
        if len(canonical) > MOST_NAME_CHARS or not path.is_file():
            return []
        records = json.loads(path.read_text("utf-8"))
        found = (matched(record, name=name, version=version) for record in records)
        return [advisory for advisory in found if advisory is not None]

    def _point_to(self, fresh: Path) -> None:
        """Let the snapshot at `fresh` be the one in force; there is always one.

        The one before stays, for who is reading it.
        """
        before = self.folder.resolve()
        link = self.folder.with_name(f".{fresh.name}")
        link.symlink_to(fresh.name)
        link.replace(self.folder)
        for old in self.folder.parent.glob(f"{self.folder.name}-*"):
            if old != fresh and old.resolve() != before:
                remove_tree(old)
