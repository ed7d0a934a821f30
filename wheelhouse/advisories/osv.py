"""OSV's schema (1.x): does an advisory touch a version of a distribution? Pure functions.

https://ossf.github.io/osv-schema/
"""

from collections.abc import Iterable, Iterator
from typing import Any

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import Version

from frozen.values import frozen

ECOSYSTEM = "PyPI"


@frozen
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


def matched(record: dict[str, Any], *, name: str, version: str) -> Advisory | None:
    """Return the advisory if `record` (OSV schema 1.x) touches this version."""
    ours = [a for a in record.get("affected", ()) if touches_us(a)]
    touching = [a for a in ours if touched(a) == canonicalize_name(name) and _touches(a, version)]
    if not touching:
        return None
    return Advisory(
        id=str(record.get("id", "")),
        aliases=tuple(map(str, record.get("aliases", ()))),
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


def touches_us(affected: dict[str, Any]) -> bool:
    """Return whether an entry of `affected` is about a distribution of PyPI's."""
    return affected.get("package", {}).get("ecosystem") == ECOSYSTEM


def touched(affected: dict[str, Any]) -> str:
    """Return whom it touches; empty for what is no name of a distribution."""
    try:
        return canonicalize_name(str(affected.get("package", {}).get("name", "")), validate=True)
    except InvalidName:
        return ""


def _version(text: str) -> Version:
    try:
        return Version(text)
    except ValueError:  # InvalidVersion, or more digits than int() takes
        return Version("0")
