"""Judges an OSV snapshot, in a judge: what touches a distribution is written to a file of its own.

Each file is a JSON list that the appliance reads later, so only what it needs is kept, and each
advisory is written for each distribution with what it says of that one alone.
"""

import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from packaging.utils import InvalidName, canonicalize_name
from pydantic import TypeAdapter

from frozen.values import frozen
from wheelhouse.advisories.osv import matched, touched, touches_us
from wheelhouse.archives.judging import Ceilings, Judge
from wheelhouse.archives.zipfiles import judge_directory
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.judgement import Judgement
from wheelhouse.problem import Problem, shown

MOST_ADVISORY_BYTES = 4 << 20
MOST_BYTES = 1 << 30
"""Of all advisories together, unpacked; PyPI's are about a fifth of it."""
MOST_NAMES_OF_ONE = 1_000
MOST_BYTES_OF_A_NAME = 16 << 20
CEILINGS = Ceilings(entries=500_000)
KEPT_CHARS = 300


@frozen
class Told:
    """How many advisories there are for how many distributions, and the date of the newest."""

    advisories: int
    distributions: int
    newest: str


SNAPSHOT = Judgement(
    target="wheelhouse.advisories.snapshot_judging:judge_snapshot",
    returns=TypeAdapter(Told),
    budget=Budget(cpu_s=300, wall_s=900),
)


class _RefusedError(Exception):
    """The snapshot has something that is no advisory, or more than it may have."""


@dataclass(slots=True)
class _Kept:
    """What was written so far: bytes by name."""

    folder: Path
    sizes: dict[str, int] = field(default_factory=dict[str, int])

    def keep(self, name: str, record: dict[str, Any]) -> None:
        text = json.dumps(record).encode()
        begin = b",\n" if name in self.sizes else b"["
        size = self.sizes.get(name, 0) + len(text)
        if size > MOST_BYTES_OF_A_NAME:
            raise _RefusedError(f"more than {MOST_BYTES_OF_A_NAME} bytes about {name}")
        with (self.folder / f"{name}.json").open("ab") as stream:
            stream.write(begin + text)
        self.sizes[name] = size

    def close(self) -> None:
        for name in self.sizes:
            with (self.folder / f"{name}.json").open("ab") as stream:
                stream.write(b"]")


def judge_snapshot(source: str, *, folder: str) -> tuple[Told | None, list[Problem]]:
    """Write what a zip, or a folder, of advisories says to the new `folder`, name by name."""
    place = Path(source)
    kept = _Kept(Path(folder))
    kept.folder.mkdir()
    count, newest = 0, ""
    try:
        for content in _contents(place):
            record = _record(content)
            newest = max(newest, shown(str(record.get("modified", "")), most=40))
            names = _names(record) if not record.get("withdrawn") else set[str]()
            count += bool(names)
            for name in names:
                kept.keep(name, _trimmed(record, name))
        kept.close()
    except (
        _RefusedError,
        ValueError,
        NotImplementedError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        return None, [_fault(f"it cannot be read: {shown(str(error), most=300)}", place.name)]
    if not count:
        return None, [_fault("it has no advisory for PyPI", place.name)]
    return Told(advisories=count, distributions=len(kept.sizes), newest=newest), []


def _contents(source: Path) -> Iterator[bytes]:
    """Yield the bytes of each advisory of a zip or a folder, up to a bound on all of them."""
    left = MOST_BYTES
    for content in _folder(source) if source.is_dir() else _zip(source):
        left -= len(content)
        if left < 0:
            raise _RefusedError(f"it has more than {MOST_BYTES} bytes of advisories")
        if len(content) <= MOST_ADVISORY_BYTES:
            yield content


def _folder(source: Path) -> Iterator[bytes]:
    for path in sorted(source.glob("*.json")):
        with path.open("rb") as stream:
            yield stream.read(MOST_ADVISORY_BYTES + 1)


def _zip(source: Path) -> Iterator[bytes]:
    judge = Judge(source.name)
    with source.open("rb") as stream:
        if not judge_directory(judge, stream, CEILINGS, size=source.stat().st_size):
            raise _RefusedError(judge.told()[0].what)
        with zipfile.ZipFile(stream) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(".json"):
                    with archive.open(entry) as advisory:
                        yield advisory.read(MOST_ADVISORY_BYTES + 1)


def _record(content: bytes) -> dict[str, Any]:
    """Return one advisory. Raises ValueError for what is none: it is judged before it is kept."""
    record = json.loads(content)
    if not isinstance(record, dict):
        raise ValueError("an advisory is not a JSON object")
    told = cast(dict[str, Any], record)
    try:
        for affected in told.get("affected", ()):
            matched({**told, "affected": [affected]}, name=touched(affected), version="1")
    except (AttributeError, TypeError, KeyError, StopIteration) as error:
        raise ValueError(f"{told.get('id')} is not in OSV's schema: {error!r}") from error
    return told


def _names(record: dict[str, Any]) -> set[str]:
    """Return whom the advisory touches. Raises _RefusedError where they are too many."""
    names = {touched(one) for one in record.get("affected", ()) if touches_us(one)}
    if len(names) > MOST_NAMES_OF_ONE:
        what = f"{shown(str(record.get('id')))} names {len(names)} distributions"
        raise _RefusedError(f"{what}; the limit is {MOST_NAMES_OF_ONE}")
    return {name for name in names if _is_name(name)}


def _is_name(name: str) -> bool:
    try:
        return bool(name) and len(name) <= 128 and bool(canonicalize_name(name, validate=True))
    except InvalidName:
        return False


def _trimmed(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what is kept of an advisory for one distribution."""
    ours = [one for one in record.get("affected", ()) if touches_us(one) and touched(one) == name]
    scores = record.get("severity", ())
    specific = record.get("database_specific", {}).get("severity")
    return {
        "id": shown(str(record.get("id", "")), most=KEPT_CHARS),
        "aliases": [shown(str(alias)) for alias in record.get("aliases", ())][:20],
        "summary": shown(str(record.get("summary") or record.get("details", "")), most=KEPT_CHARS),
        "severity": [{"score": shown(str(one.get("score", "")))} for one in scores[:1]],
        "database_specific": {"severity": shown(str(specific))} if specific else {},
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": name},
                "ranges": [r for r in one.get("ranges", ()) if r.get("type") == "ECOSYSTEM"],
                "versions": one.get("versions", []),
            }
            for one in ours
        ],
    }


def _fault(what: str, where: str) -> Problem:
    mend = "give the zip of all advisories for PyPI that OSV publishes (all.zip), unaltered"
    return Problem(code="not-an-osv-snapshot", what=what, where=where, mend=mend)
