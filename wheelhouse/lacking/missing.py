"""What failed locks lacked: kept until it is here, and listed as a file for the mirror."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from packaging.requirements import Requirement
from pydantic import TypeAdapter

from frozen.values import frozen
from wheelhouse.durable import write_file
from wheelhouse.lacking.closure import newest
from wheelhouse.metadata.target import Target, make_target, platforms_of
from wheelhouse.store import Wheelhouse
from wheelhouse.times import rfc3339


@frozen
class Missing:
    """A requirement that a lock could not meet, for which target, and when (UTC) it was last."""

    requirement: str
    asked_by: str
    python: str
    platform: str
    at: datetime
    sha256: str = ""
    """The digest, where nothing but one wheel will do (`sha256:<hex>`)."""

    @property
    def target(self) -> Target:
        """Return the target that it is missing for."""
        platforms = platforms_of(self.platform)
        return make_target(self.python, platform=self.platform, platforms=platforms)


MISSING_JSON = TypeAdapter(Missing)


class MissingList:
    """The list below `folder`, one small file for each requirement and target."""

    def __init__(self, folder: Path):
        self.folder = folder

    def note(self, missing: Missing) -> None:
        """Add `missing`, or renew its time."""
        key = json.dumps([missing.requirement, missing.python, missing.platform, missing.sha256])
        name = sha256(key.encode()).hexdigest()[:32]
        write_file(self.folder / f"{name}.json", MISSING_JSON.dump_json(missing))

    def entries(self) -> list[Missing]:
        """Return what is missing, newest first."""
        if not self.folder.is_dir():
            return []
        files = [p for p in self.folder.glob("*.json") if not p.name.startswith(".")]
        found = [MISSING_JSON.validate_json(path.read_bytes()) for path in files]
        return sorted(found, key=lambda missing: missing.at, reverse=True)

    def strike_off(self, wheelhouse: Wheelhouse) -> int:
        """Strike off what the house has for the target by now; return how many entries."""
        struck = 0
        for path in list(self.folder.glob("*.json")) if self.folder.is_dir() else []:
            missing = MISSING_JSON.validate_json(path.read_bytes())
            if _is_here(missing, wheelhouse):
                path.unlink(missing_ok=True)
                struck += 1
        return struck

    def requirements(self) -> str:
        """Return the list as a requirements.txt for `fumehood wheelhouse mirror`.

        What only some of the Pythons lack has a marker, so that one file serves them all.
        """
        entries = self.entries()
        if not entries:
            return "# Nothing is missing.\n"
        lines = ["# What failed locks lacked. On a connected machine:"]
        targets = sorted({(m.python, m.platform) for m in entries})
        lines += [
            f"#   fumehood wheelhouse mirror missing.txt --python {p} --platform {where}"
            for p, where in targets
        ]
        every = sorted({m.python for m in entries})
        for text, digest in sorted({(m.requirement, m.sha256) for m in entries}):
            same = [m for m in entries if (m.requirement, m.sha256) == (text, digest)]
            pythons = sorted({m.python for m in same})
            marker = "" if pythons == every else f" ; {_marker(pythons)}"
            askers = ", ".join(sorted({m.asked_by or "a package" for m in same}))
            exact = f" --hash={digest}" if digest else ""
            lines.append(f"{text}{marker}{exact}  # for {askers}, Python {', '.join(pythons)}")
        return "\n".join(lines) + "\n"

    def to_list(self) -> list[dict[str, str]]:
        """Return the entries as plain JSON."""
        return [{**asdict(m), "at": rfc3339(m.at)} for m in self.entries()]


def _is_here(missing: Missing, wheelhouse: Wheelhouse) -> bool:
    requirement = Requirement(missing.requirement)
    wheels = wheelhouse.find(requirement.name)
    if missing.sha256:
        return any(wheel.sha256 == missing.sha256 for wheel in wheels)
    return newest(wheels, requirement, target=missing.target) is not None


def _marker(pythons: Sequence[str]) -> str:
    return " or ".join(f'python_version == "{python}"' for python in pythons)
